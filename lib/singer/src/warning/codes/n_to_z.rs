//! The codes from N to Z.

pub(super) const CODES: &[(&str, &str)] = &[
    (
        "W-NO-CAPABILITIES",
        "A tap does not answer `--discover`, and its entry has no `capabilities`. It is run with \
         its settings alone, as Meltano does. Add `capabilities` if it takes a catalog or a state.",
    ),
    ("W-NO-FILE", "No file matches. Check the path and the pattern."),
    (
        "W-NO-INDEX",
        "No index starts with the replication key, so each run sorts the whole table. Create an \
         index.",
    ),
    (
        "W-NO-KEYS",
        "A stream has no keys, so its rows are only added. They are added again when they come \
         again: in a repeated load, from a file that has grown, or at the bookmark, which each \
         run reads again. Declare keys, or choose a `load_method`.",
    ),
    ("W-NO-RECORDS", "There were no records to infer types from. Declare a `schema`."),
    (
        "W-NO-STREAM",
        "The catalog selects no stream, so nothing is read. Select streams in the catalog.",
    ),
    (
        "W-NO-TABLE",
        "A schema of the database has no table that the user may read. Check `filter_schemas`.",
    ),
    (
        "W-NOT-ATOMIC",
        "The file system cannot exchange two folders in one step. For a moment a reader may not \
         find the partition.",
    ),
    (
        "W-NOT-DURABLE",
        "The database may lose committed rows in a crash. The warning names the setting or table.",
    ),
    (
        "W-NULL-KEY",
        "Rows have no value in the replication key. An incremental run with a bookmark does not \
         read them, and they give no bookmark. Choose another key, or FULL_TABLE.",
    ),
    ("W-PAGE-AGAIN", "The API sent its last page twice. The second copy is left out."),
    (
        "W-PARENTS-LATE",
        "A stream of `tap-api` has more parents than its bookmark can remember. Older rows of \
         parents that appear later may be missing. Read the stream in full from time to time.",
    ),
    (
        "W-PARTITION-RENAMED",
        "The settings write the rows of a day under another source or day than the tap names. \
         Correct `source` and `datestamp` if this is not intended.",
    ),
    (
        "W-PARTITION-REPAIRED",
        "An earlier run died while it replaced a partition. This run finishes it.",
    ),
    (
        "W-PARTITION-REPLACED",
        "A partition was damaged, or another program changed it. This run writes it again.",
    ),
    (
        "W-PASSWORD-FILE",
        "The password file is not used, in most cases because other users may read it. Run `chmod \
         0600` on it.",
    ),
    (
        "W-PASSWORD-UNCHECKED-SERVER",
        "The password was sent to a server whose identity was not checked. Set `ssl_mode: \
         verify-full`, or use scram-sha-256 for the role.",
    ),
    (
        "W-PLUGIN",
        "A plugin of another author logged a warning, which has no code of ours. `chorus logs` \
         shows it.",
    ),
    (
        "W-PLUGIN-UNKNOWN",
        "A program in the folder of `chorus` does not answer `--about`, so it is run as a plugin \
         of another author. Install it again, or put plugins of other authors into another \
         folder.",
    ),
    (
        "W-PROJECT-ALIAS",
        "A command edited a value of the project file that has an anchor. Every value that names \
         the anchor by an alias changed with it.",
    ),
    (
        "W-PROJECT-UNUSED",
        "A part of `meltano.yml`, or of a file beside it, is not used as written. Correct the \
         line that the warning names.",
    ),
    (
        "W-PROPERTY-ABSENT",
        "Records lack a property that other records of their stream have. A CSV file cannot show \
         this, so a load of the file by key replaces the value by null. Let the tap write whole \
         records.",
    ),
    ("W-PROPERTY-LOST", "Properties of the stream are not loaded. The warning says why."),
    (
        "W-PROPERTY-TWICE",
        "A property comes twice in one record, and its last value is kept. Correct the source, or \
         the program that writes the records.",
    ),
    (
        "W-PROPERTY-UNDECLARED",
        "Records have properties that their schema does not declare, and these are left out. \
         Declare them.",
    ),
    (
        "W-QUOTE-ODD",
        "Quoted fields of a file have text after their closing quote, so it is unclear which \
         quotes belong to the text. Such fields are read as they stand, with all of their quotes. \
         Have quotes inside fields doubled. Set `quotechar` to an empty text if quotes are \
         ordinary text, or `strict` to refuse such files.",
    ),
    (
        "W-RECORDS-LACKING",
        "Elements in an answer of the API lack the member that `records_path` names, so they give \
         no row. Correct the path, or set `allow_missing_records` if they have no record.",
    ),
    (
        "W-RECORDS-REJECTED",
        "Records did not fit and were written to the rejects file. Read their reasons there.",
    ),
    ("W-RECORDS-UNDATED", "Records have no time, so they are part of every day."),
    (
        "W-RERUN-ADDS",
        "The path of a plain file contains a time, so a rerun writes a second file beside the \
         first. Use only `{stream_name}` in the path, or write dated folders.",
    ),
    (
        "W-ROW-DOUBTFUL",
        "Because of the first or the last row of a file, a column is text, although all other \
         rows have numbers, dates or times there. This row may be a total, a note or a second \
         header. Have the file written without it, or set the type of the column in `types`.",
    ),
    (
        "W-ROWS-AGAIN",
        "A step adds rows that were loaded from the same source before. Its state is lost or has \
         another name, a day has changed since, or the last run failed after rows that no state \
         covers. Follow the advice in the warning.",
    ),
    (
        "W-ROWS-CASCADED",
        "Foreign keys removed or changed rows of other tables when rows left a table. If this is \
         not intended, load by `upsert`, or drop ON DELETE CASCADE.",
    ),
    (
        "W-ROWS-DAYLESS",
        "A table has rows with a day and rows without a day, so rows may be there twice. Follow \
         the advice in the warning, and load a table by one `load_method`.",
    ),
    (
        "W-ROWS-HIDDEN",
        "Row security of a table applies to the user, or to the owner of a view. Rows that its \
         policies hide are not read, or were not read by earlier runs. Give that role BYPASSRLS. \
         If only the visible rows are wanted, run ALTER ROLE ... SET row_security = on for the \
         user.",
    ),
    ("W-ROWS-LEFT-OUT", "A limit cuts the rows of a stream, or the limit cannot be kept."),
    (
        "W-ROWS-NOT-DELETED",
        "Rows that were to be deleted are still in the table, because a trigger or rule of the \
         table kept them. If this is not intended, change or disable it.",
    ),
    (
        "W-ROWS-NOT-TAKEN",
        "Rows of the run are not in the table, because a trigger or rule of the table kept them \
         out or removed them. If this is not intended, change or disable it.",
    ),
    ("W-RUN-UNRECORDED", "The record of a run could not be written."),
    ("W-SCHEDULE-FAILED", "A scheduled run failed. `chorus runs` shows why."),
    (
        "W-SCHEDULE-START",
        "`chorus schedule NAME` is an old form. Write `chorus schedule start NAME`.",
    ),
    (
        "W-SECRET-LITERAL",
        "A password or token stands in a file as it is. Write `\"${NAME}\"` there, and put the \
         value into `.env` or a variable.",
    ),
    (
        "W-SELECT-NOTHING",
        "A pattern of `select`, `metadata` or `schema` matches no stream or property. Correct it, \
         or remove it.",
    ),
    (
        "W-SEQUENCE-CACHED",
        "Sessions keep numbers of the sequence of a replication key for later, so rows may appear \
         before the bookmark. Change the sequence to CACHE 1, or set `lookback_window`.",
    ),
    (
        "W-SERVER-NOTICE",
        "The Postgres server, or a function or trigger in it, sent a NOTICE or WARNING. The text \
         is shown once, without values. The log of the server has the whole text.",
    ),
    (
        "W-SESSION-CHANGED",
        "A function changed a setting of the session. The connector sets it back. Give the \
         function the setting by ALTER FUNCTION ... SET.",
    ),
    (
        "W-SESSION-ZONE",
        "Triggers compute in UTC, not in the time zone of the role. Give their functions the zone \
         by ALTER FUNCTION ... SET TimeZone.",
    ),
    (
        "W-SET-ASIDE",
        "An earlier run died, and its remains cannot be finished. They are moved to `.aside` in \
         the output folder. Look at them, then remove them.",
    ),
    (
        "W-SETTING-UNKNOWN",
        "A setting or a variable has an unknown name and is ignored. Correct its name, or remove \
         it.",
    ),
    ("W-SETTING-UNUSED", "A setting has no effect together with the other settings. Remove it."),
    (
        "W-SETTINGS-CHANGED",
        "A setting that decides which rows there are has changed. All files of the table are read \
         again, or the stream from its start. With `append-only` rows then come twice.",
    ),
    ("W-SIGNAL-IGNORED", "A signal cannot be handled, so it will end the program at once."),
    (
        "W-SOURCE-CHANGED",
        "The table of an INCREMENTAL stream is not the table of its bookmark, it was emptied and \
         the sequence of its key started again, or a view has another definition. Rows up to the \
         bookmark are not read. Unless they are the same, read the stream once without its \
         bookmark.",
    ),
    ("W-SOURCE-DIFFERS", "A dated folder holds data of another source and is left out."),
    (
        "W-START-EXCLUDED",
        "The API sent nothing from a bookmark on, not even the row of the bookmark. If it sends \
         only records later than `{start}`, rows that get the same key later are never read. Ask \
         the API for records at `{start}` as well.",
    ),
    (
        "W-START-IGNORED",
        "Most records of the API lie well before the requested start. Check the name and the form \
         of the parameter with `{start}`.",
    ),
    (
        "W-START-UNUSED",
        "A stream has a replication key, but no parameter sends its start to the API, so each run \
         reads everything. Add the parameter of the API with `{start}`.",
    ),
    ("W-STATE-DAMAGED", "A target printed a line that is not a state. The line is left out."),
    (
        "W-STATE-ELSEWHERE",
        "`database_uri` names a file that does not exist, so states are kept in `.chorus/state` \
         until Meltano makes it. Correct the path if it is wrong.",
    ),
    (
        "W-STATE-NEW-NAME",
        "A schedule of a tap and a target starts without a state, and the pair has one by the name \
         that earlier releases gave it. If it is that of the schedule, copy it: the warning has \
         the command.",
    ),
    (
        "W-STATE-SHARED",
        "Another step has moved the state of a step, so this step does not read the rows that the \
         other step has read. Give each step a state of its own.",
    ),
    (
        "W-STREAM-EMPTY",
        "A stream is left out, because none of its columns is selected or its files have no \
         columns.",
    ),
    (
        "W-TABLE-ATTACHED",
        "A partition or child became a part of the table of an INCREMENTAL stream after its \
         bookmark, with keys before it. These rows are read once; `append-only` adds them again \
         if a load had them.",
    ),
    (
        "W-TABLE-EMPTY",
        "A table is empty, or a file or day is missing, although the state says that rows were \
         written to it. Run once without the state to have all rows.",
    ),
    (
        "W-TABLE-GONE",
        "A table that was filled before is gone. The target creates it again, with only the rows \
         of this run. If these are not all rows, load again without a state.",
    ),
    (
        "W-TABLE-NOT-READABLE",
        "The user may not read some tables, so they are left out. Grant SELECT on them.",
    ),
    (
        "W-TABLE-STAYS",
        "A step wrote a table into a day before and has not read it now. The table stays in the \
         day and is loaded with it. If its source no longer has it, remove it as the warning \
         says.",
    ),
    (
        "W-TABLE-TAKEN",
        "A step replaced a table, a partition or a file that a step of another tap wrote for the \
         same day. Only the rows of the last step are there. Give each step a table, a source or \
         a schema of its own, or load both by `upsert`.",
    ),
    (
        "W-TABLES-NOT-REMEMBERED",
        "target-postgres may not write down which stream fills which table. It refuses two \
         streams of one table only within one run. Grant the right that the warning names.",
    ),
    ("W-TIME-EXTRACTED", "A `time_extracted` is not a date and time, and is left out."),
    (
        "W-TIME-UNZONED",
        "Values of a column that is declared as date-time have no offset, and a target takes them \
         as UTC. Set `datetime_zone` to their zone.",
    ),
    (
        "W-TLS-UNVERIFIED",
        "The connection is encrypted, but the certificate of the server is not checked. Set \
         `ssl_mode: verify-full`.",
    ),
    (
        "W-TOKEN-CHANGED",
        "The token server changed the refresh token. Set `oauth_token_file` to keep the new one.",
    ),
    (
        "W-TREE-CIRCLE",
        "Rows of a stream with `recurse` lead back to a row above them. This row was read once, \
         and the tap does not go deeper there.",
    ),
    ("W-TRY-AGAIN", "A request or a step failed for a temporary reason and is tried again."),
    (
        "W-TYPE-AS-TEXT",
        "The target database lacks a type of the source, so the column becomes text or JSON. \
         Before the load, install the extension, create the type, or grant USAGE on its schema.",
    ),
    (
        "W-URL-PARAMETER",
        "A parameter of the connection URL is not used. Remove it, or use a setting.",
    ),
    (
        "W-VALUES-CHANGED",
        "A trigger of the table changed values of the loaded rows. If this is not intended, \
         change or disable it.",
    ),
    ("W-VERSION-IGNORED", "An ACTIVATE_VERSION message has no effect. The warning says why."),
    (
        "W-WHOLE-ANSWER",
        "The whole answer of the API, or an object in the place of its list, is read as one \
         record. Set `records_path`.",
    ),
    (
        "W-WINDOWS-OVERLAP",
        "Windows of time gave records that may be the same, and the records have no key to tell. \
         Request windows that do not overlap, or set `primary_keys`.",
    ),
    (
        "W-WRITERS-UNSEEN",
        "A row may appear behind the bookmark, because the server does not show who writes a \
         materialized view, a foreign table or a subscribed table. Set `lookback_window`, or read \
         FULL_TABLE.",
    ),
];
