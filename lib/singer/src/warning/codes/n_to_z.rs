//! The codes from N to Z.

pub(super) const CODES: &[(&str, &str)] = &[
    ("W-NO-FILE", "No file matches. Check the path and the pattern."),
    (
        "W-NO-INDEX",
        "No index starts with the replication key, so each run sorts the whole table. Create \
         an index.",
    ),
    (
        "W-NO-KEYS",
        "A stream has no keys, so its rows are added, and added again when they come again: by the \
         same load, from a file that has grown, or as those at a bookmark, which each run reads \
         again. Declare keys, or choose a `load_method`.",
    ),
    ("W-NO-RECORDS", "There were no records to infer types from. Declare a `schema`."),
    (
        "W-NO-STREAM",
        "The catalog selects no stream, so nothing is read. Select streams in the catalog.",
    ),
    (
        "W-NO-TABLE",
        "A schema of the database has no table that can be read. Check `filter_schemas`.",
    ),
    (
        "W-NOT-ATOMIC",
        "The file system cannot exchange two folders in one step. A reader may miss a \
         partition for a moment.",
    ),
    (
        "W-NOT-DURABLE",
        "The database may lose committed rows in a crash. The warning says which setting or \
         table it is.",
    ),
    (
        "W-NULL-KEY",
        "Rows have no value in the replication key. An incremental run with a bookmark does \
         not read them, and no bookmark can be made of them; choose another key, or FULL_TABLE.",
    ),
    ("W-PAGE-AGAIN", "The API gave its last page twice. The second copy is left out."),
    (
        "W-PARENTS-LATE",
        "A stream of `tap-api` has more parents than its bookmark can remember. Older rows of \
         parents that come later may be missing: read it whole from time to time.",
    ),
    (
        "W-PARTITION-RENAMED",
        "The rows of a day are written as those of another source, as the settings say. \
         Correct `source` and `datestamp` if that is not meant.",
    ),
    ("W-PARTITION-REPAIRED", "A dead run had begun to replace a partition. This run finishes it."),
    ("W-PARTITION-REPLACED", "A partition was damaged or changed by others, and is written again."),
    (
        "W-PASSWORD-FILE",
        "The password file is not used, mostly because others may read it. Run `chmod 0600` on it.",
    ),
    (
        "W-PASSWORD-UNCHECKED-SERVER",
        "The password went to a server whose identity nobody has checked. Set `ssl_mode: \
         verify-full`, or use scram-sha-256 for the role.",
    ),
    (
        "W-PLUGIN",
        "A plugin of others logged a warning, which has no code of ours. `chorus logs` shows it.",
    ),
    (
        "W-PLUGIN-UNKNOWN",
        "A program beside `chorus` does not say what it is, so it is run as a plugin of others. \
         Install it again, or put a plugin of others into another folder.",
    ),
    (
        "W-PROJECT-UNUSED",
        "Something in `meltano.yml` or beside it is not used as written. Correct the line \
         that the warning names.",
    ),
    (
        "W-PROPERTY-ABSENT",
        "Records lack a property that others of their stream have, which a CSV file cannot say: a \
         load of the file by key replaces the value by null. Let the tap write whole records.",
    ),
    ("W-PROPERTY-LOST", "Properties of the stream are not loaded. The warning says why."),
    (
        "W-PROPERTY-TWICE",
        "A property comes twice in one record, and its last value is kept. Correct the source, \
         or the program that writes the records.",
    ),
    (
        "W-PROPERTY-UNDECLARED",
        "Records have properties that their schema does not declare, and they are left out. \
         Declare them.",
    ),
    (
        "W-QUOTE-ODD",
        "Quoted fields of a file have text behind their closing quote, so nobody can tell which of \
         the quotes are text. Such fields are taken as they stand, with all of their quotes. Have \
         quotes within fields written twice; or set `quotechar` to an empty text if quotes are \
         ordinary text, or `strict` to refuse such files.",
    ),
    (
        "W-RECORDS-LACKING",
        "Elements in an answer of the API have nothing where `records_path` goes on, so that no \
         row is made of them. Correct the path, or set `allow_missing_records` if they have no \
         record.",
    ),
    (
        "W-RECORDS-REJECTED",
        "Records did not fit and were set aside in the rejects file. Look at their reasons \
         there.",
    ),
    ("W-RECORDS-UNDATED", "Records without a time are part of every day."),
    (
        "W-RERUN-ADDS",
        "The path of a plain file has a time in it, so a run again makes another file beside \
         the first. Write the file with `{stream_name}` alone, or a dated folder.",
    ),
    (
        "W-ROW-DOUBTFUL",
        "The first or the last row of a file alone makes a column text that all others fill with \
         numbers, dates or times: a total, a note or a second header may be read as a row. Have \
         the file written without it, or set the type of the column in `types`.",
    ),
    (
        "W-ROWS-AGAIN",
        "A step adds rows that it, or another step, has loaded from the same source before: its \
         state is lost or has another name, a day has changed since, or the last run has failed \
         behind rows that no state covers. Do what the warning says.",
    ),
    (
        "W-ROWS-CASCADED",
        "Foreign keys removed or changed rows of other tables with those that left a table. Load \
         by `upsert`, or drop ON DELETE CASCADE, if that is not meant.",
    ),
    (
        "W-ROWS-DAYLESS",
        "A table has rows of days and rows of no day, so that rows may be there twice. Do what the \
         warning says, and load a table by one `load_method`.",
    ),
    (
        "W-ROWS-HIDDEN",
        "Row security of a table applies to the user, or to the owner of a view, and rows that \
         its policies hide are not read, or were not by earlier runs. Give that role BYPASSRLS; \
         or, if the rows that it shows are the ones wanted, run ALTER ROLE ... SET row_security = \
         on for the user.",
    ),
    ("W-ROWS-LEFT-OUT", "A limit cuts the rows of a stream, or the limit cannot be kept."),
    (
        "W-ROWS-NOT-DELETED",
        "Rows that were to leave a table are still there, as a trigger or rule of the table kept \
         them. Change or disable it, if that is not meant.",
    ),
    (
        "W-ROWS-NOT-TAKEN",
        "Rows that came are not in the table, as a trigger or rule of the table kept them out, or \
         removed them. Change or disable it, if that is not meant.",
    ),
    ("W-RUN-UNRECORDED", "The record of a run could not be written."),
    ("W-SCHEDULE-FAILED", "A scheduled run failed. `chorus runs` shows why."),
    (
        "W-SELECT-NOTHING",
        "A pattern of `select`, `metadata` or `schema` matches no stream or property. Correct it, \
         or remove it.",
    ),
    (
        "W-SERVER-NOTICE",
        "The Postgres server, or a function or trigger in it, has sent a NOTICE or WARNING. The \
         text is shown once, without values; the log of the server has all of it.",
    ),
    (
        "W-SESSION-CHANGED",
        "A function changed a setting of the session. It is set back; give the function the \
         setting by ALTER FUNCTION ... SET.",
    ),
    (
        "W-SESSION-ZONE",
        "Triggers compute in UTC, and not in the time zone of the role. Give their functions the \
         zone by ALTER FUNCTION ... SET TimeZone.",
    ),
    (
        "W-SET-ASIDE",
        "What a dead run left cannot be finished and is moved to `.aside` in the output \
         folder. Look at it, then remove it.",
    ),
    (
        "W-SETTING-UNKNOWN",
        "A setting or a variable has an unknown name and is ignored. Correct its name, or \
         remove it.",
    ),
    ("W-SETTING-UNUSED", "A setting has no effect beside the other settings. Remove it."),
    (
        "W-SETTINGS-CHANGED",
        "What decides the rows of a table or stream has changed, so all its files are read again, \
         or the stream from its start. Under `append-only` rows then come twice.",
    ),
    ("W-SIGNAL-IGNORED", "A signal cannot be handled, so it will end the program at once."),
    (
        "W-SOURCE-CHANGED",
        "The table of an INCREMENTAL stream is another one than its bookmark was taken from, or \
         was emptied and filled anew. Rows up to the bookmark are not read. Read once without it, \
         unless they are the same.",
    ),
    (
        "W-SOURCE-DIFFERS",
        "A folder of the dated folders holds data of another source, and is left out.",
    ),
    (
        "W-START-EXCLUDED",
        "The API gave nothing from a bookmark on, not even the row that the bookmark was made of. \
         If it gives only what is later than `{start}`, rows that get the same key later are \
         never read: ask for what lies at it as well.",
    ),
    (
        "W-START-IGNORED",
        "Most records of the API lie well before the start that it was asked for. Check the name \
         and the form of the parameter with `{start}`.",
    ),
    (
        "W-START-UNUSED",
        "A stream has a replication key that does not reach the API, so each run reads everything. \
         Add the parameter of the API with `{start}`.",
    ),
    ("W-STATE-DAMAGED", "A target printed a line that is not a state. The line is left out."),
    (
        "W-STATE-ELSEWHERE",
        "Meltano has a state of the step, or may have, and `chorus` does not read it: all rows are \
         read from the start. `meltano state get ID` prints it, `chorus state set ID -` takes it.",
    ),
    (
        "W-STATE-SHARED",
        "A step goes on from a state that another step has moved, so that it does not read what \
         that one has read. Give each step a state of its own.",
    ),
    (
        "W-STREAM-EMPTY",
        "A stream is left out, as none of its columns is selected or its files have no \
         columns.",
    ),
    (
        "W-TABLE-EMPTY",
        "A table is empty, or a file or day is not there, though the state says that rows were \
         written into it. Run once without the state to have all rows.",
    ),
    (
        "W-TABLE-GONE",
        "A table that was filled before is gone, and is made anew with the rows of this run alone. \
         Load again what it had, without a state, if those are not all.",
    ),
    (
        "W-TABLE-NOT-READABLE",
        "The user may not read some tables, so they are left out. Grant SELECT on them.",
    ),
    (
        "W-TABLE-STAYS",
        "A table that a step wrote into a day before, and has not read now, stays in the day and \
         is loaded with it. Take it out as the warning says, if its source has it no more.",
    ),
    (
        "W-TABLE-TAKEN",
        "A step has replaced a table, a partition or a file that a step of another tap wrote for \
         the same day, so that the rows of the last one alone are there. Give each a table, a \
         source or a schema of its own, or load both by `upsert`.",
    ),
    (
        "W-TABLES-NOT-REMEMBERED",
        "target-postgres may not write down which stream fills which table. Two streams of one \
         table are refused within a run alone. Grant what the warning says.",
    ),
    ("W-TIME-EXTRACTED", "A `time_extracted` is not a date and time, and is left out."),
    (
        "W-TLS-UNVERIFIED",
        "The connection is encrypted, but the server's certificate is not checked. Set \
         `ssl_mode: verify-full`.",
    ),
    (
        "W-TOKEN-CHANGED",
        "The token server changed the refresh token. Set `oauth_token_file` to keep the new \
         one.",
    ),
    (
        "W-TREE-CIRCLE",
        "Rows of a stream with `recurse` lead back to what they lie under. It was read once, and \
         the tree goes no deeper there.",
    ),
    ("W-TRY-AGAIN", "A request or a step failed for a passing reason and is tried again."),
    (
        "W-TYPE-AS-TEXT",
        "The target database lacks a type of the source, so that the column is made as text or \
         JSON. Install the extension or make the type, or grant USAGE on its schema, beforehand.",
    ),
    (
        "W-URL-PARAMETER",
        "A parameter of the connection URL is not used. Remove it, or use a setting.",
    ),
    (
        "W-VALUES-CHANGED",
        "A trigger of the table gave rows other values than came. Change or disable it, if that is \
         not meant.",
    ),
    ("W-VERSION-IGNORED", "An ACTIVATE_VERSION message is not acted upon. The warning says why."),
    (
        "W-WHOLE-ANSWER",
        "The whole answer of the API, or an object in the place of its list, is taken for one \
         record. Set `records_path`.",
    ),
    (
        "W-WINDOWS-OVERLAP",
        "Windows of time gave records that may be the same, and have no key to tell. Ask for times \
         that do not overlap, or load by `primary_keys`.",
    ),
    (
        "W-WRITERS-UNSEEN",
        "A row may come behind the bookmark: the server does not show who writes a materialized \
         view, foreign or subscribed table. Set `lookback_window`, or read FULL_TABLE.",
    ),
];
