//! The codes from A to M.

pub(super) const CODES: &[(&str, &str)] = &[
    (
        "W-BOOKMARK-BEYOND",
        "No row of a table has a key at or after the bookmark, so its numbers may have started \
         again. Incremental runs do not read such rows. Read the stream once without a bookmark.",
    ),
    (
        "W-BOOKMARK-HELD",
        "A transaction that writes a table stayed open longer than `writers_wait_seconds`. It may \
         add rows before those that were read. The tap keeps the bookmark before these rows, and \
         the next run reads them again. End the transaction, or wait longer. In `tap-api`: pages \
         do not come in the order of a key that is no time. Ask the API to sort by it.",
    ),
    (
        "W-BOOKMARK-IN-FUTURE",
        "A bookmark is later than the start of the run, so rows before it are not read. Correct \
         the state, or read the stream once without a bookmark.",
    ),
    (
        "W-BOOKMARK-UNUSED",
        "A bookmark of the state belongs to another replication key or another kind of source, or \
         its value cannot be read, or it is one number for all parents of a stream of `tap-api`. \
         The tap reads all rows again. Correct the state, or remove the bookmark.",
    ),
    (
        "W-CHECK-WRITES",
        "`chorus check` writes a small stream to the destination of the target. Remove it \
         afterwards, or let the check write elsewhere.",
    ),
    (
        "W-COLUMN-ADDED",
        "A run that reads only the rows since a bookmark adds columns. Older rows have no value \
         there, or an old one. Read the stream once in full, with `--full-refresh --select`.",
    ),
    (
        "W-COLUMN-ALIKE",
        "Files or objects of one table, or a stream and its table, spell a column differently: in \
         case, spaces, `_-.` or characters that look alike. Each spelling is a column of its own. \
         Correct the names.",
    ),
    (
        "W-COLUMN-MISSING",
        "No file of the run has a column of the stream. All rows of the run have null there, also \
         those that replace rows with values. Correct the files, or deselect the column.",
    ),
    (
        "W-COLUMN-NOT-READABLE",
        "The user may not read some columns, so they are left out. Grant SELECT on them, or \
         deselect them.",
    ),
    (
        "W-COLUMN-UNKNOWN",
        "Files or tables have columns that are not in the catalog, and these columns are left \
         out. Write the catalog again with `--discover`.",
    ),
    (
        "W-COMMIT-UNSURE",
        "The connection broke before the server answered a COMMIT. The target asks the server \
         whether the transaction was committed.",
    ),
    (
        "W-CONDITION-CHANGED",
        "The rows up to a bookmark were read under conditions (`custom_where_clauses`) that are \
         no longer set. The rows that these conditions left out are not read. Read the stream \
         once without its bookmark.",
    ),
    (
        "W-CONNECTION-LOST",
        "The connection was lost, and the program connects again. No row is lost or doubled.",
    ),
    (
        "W-CONTRACT-BREACH",
        "All rows of a stream together breach a rule of its contract whose severity is warning or \
         info. Correct the source, or the rule.",
    ),
    (
        "W-CONTRACT-DIFFERS",
        "A stream and its contract have different columns, a stream has no contract, or a stream \
         of a contract did not come. Correct the contract or the selection, or set `strict`.",
    ),
    (
        "W-CONTRACT-NULL",
        "Values breach their contract and became null, because `on_violation` is null. Correct the \
         source, or the contract.",
    ),
    (
        "W-CONTRACT-UNUSED",
        "A contract has parts that have no effect here: unknown members, and rules of other \
         engines. Correct their names, or check them with the engine that they are for.",
    ),
    (
        "W-COUNT-DIFFERS",
        "The API announced another number of records than it sent. Check the paging settings.",
    ),
    (
        "W-DAMAGED-PAGES",
        "The server is set to skip damaged pages, so rows may be missing. Switch this setting \
         off, and check the disk of the server.",
    ),
    (
        "W-DATA-MOVED",
        "The data changed while its pages were read. Sort by a key that does not change, or page \
         by token.",
    ),
    (
        "W-DAY-IN-FUTURE",
        "The day of a run has not begun yet. Correct it: the data of this day counts as newer \
         than that of all days before it.",
    ),
    (
        "W-DAY-OLDER",
        "A day is loaded after a later day, and its rows replace newer ones. Load the later days \
         again with the command in the warning, or set `load_method: replace-partition`.",
    ),
    (
        "W-DAYS-MISSED",
        "A schedule did not run for some days and does not catch up. Run these days with the \
         command in the warning, or set `missed: all`.",
    ),
    (
        "W-DELIMITER-DOUBTFUL",
        "The name of the only column contains another delimiter, or names begin with a space. Set \
         `delimiter`, or `skipinitialspace`.",
    ),
    (
        "W-ENCODING-DOUBTFUL",
        "A file is read in one encoding, but its text is also valid UTF-8, or has bytes of a code \
         page of Windows. Check `encoding`.",
    ),
    (
        "W-END-BY-REFUSAL",
        "The API refused a page, and the tap treats this as the end of the records. Check the \
         page limits of the API.",
    ),
    (
        "W-END-UNSURE",
        "A load removes rows that did not come, and the input ended without a state after its \
         records, so it may have been cut. Check the tap, or set `require_complete`.",
    ),
    (
        "W-ERROR-IN-ANSWER",
        "An answer of the API reports an error outside its records, or `error_in_answer: warn` \
         accepts such an answer. Read the error in the warning.",
    ),
    (
        "W-FAKE-VALUES",
        "The values of `fake` in a stream map are not those of Python's Faker, also of the same \
         seed, or there are no words of a locale and those of another country are taken. Set \
         `faker_config.locale` to a locale that there is.",
    ),
    (
        "W-FILE-APART",
        "A JSON file has none of the columns of the files before it. The tap reads it. If its \
         objects are other rows, give it a table of its own.",
    ),
    (
        "W-FILE-MOVED",
        "A file was renamed or compressed after it was read. If its bytes prove that it is the \
         same file, the tap does not read it again. Otherwise the warning says so, and its rows \
         may come twice.",
    ),
    (
        "W-FILE-NOT-READ",
        "A file is left out: it is not a regular file, its name cannot be used, its ending names \
         no known format, or its text is not a table.",
    ),
    (
        "W-FILE-OPEN-TO-ALL",
        "All users can change a file that says which servers to trust. Run `chmod o-w` on it.",
    ),
    (
        "W-FILE-REPLACED",
        "A file of an earlier run or of another day has the same time in its name and is \
         replaced. Let `timestamp_format` contain seconds, in UTC, and `datestamp_format` the \
         whole date.",
    ),
    (
        "W-FILE-TWICE",
        "Several names lead to the same file. The tap reads it once, under the name in the \
         warning. Or a file and its compressed copy may both be read: remove one of them.",
    ),
    ("W-FILE-UNFINISHED", "A file is still being written. The next run reads it."),
    ("W-FOLDER-LEFT", "A folder of an earlier step could not be removed. The next run removes it."),
    (
        "W-HEADER-DOUBTFUL",
        "The first line of a file is read as its header, but looks like a row. If it is a row, \
         set `header` to false.",
    ),
    (
        "W-HEADER-REPEATED",
        "The header appears again inside a file, perhaps in another spelling. These lines are \
         skipped. If such a line has another order of columns, the rows after it are read in that \
         order. Have the file written with one header.",
    ),
    ("W-HISTORY-DAMAGED", "A record of an earlier run cannot be read and is left out."),
    (
        "W-HOOK-FAILED",
        "A job has failed, and its `on_failure` could not report this: the command failed, the \
         address refused the message, or both attempts took longer than ten seconds.",
    ),
    (
        "W-KEY-IN-FUTURE",
        "Rows have a replication key later than the start of the run. The bookmark does not move \
         to them, and every run reads them again. Correct the rows, or set `bookmark_cap` to \
         false.",
    ),
    (
        "W-KEY-OVER-CHILDREN",
        "A stream contains the rows of child tables too, and its key does not apply to them. Keys \
         may repeat. Select the child tables as streams of their own.",
    ),
    (
        "W-KEY-RESPELLED",
        "Two keys of the source may be one key in the table, because the type of the column \
         treats different texts as equal, or because U+0000 was replaced. Load into a column of \
         type text.",
    ),
    (
        "W-KEY-SHARED",
        "Rows of a table have the same value in the key that the catalog names, and a load by key \
         keeps only one of them. Write the catalog again with `--discover`, or correct the key.",
    ),
    (
        "W-KEYS-MISSING",
        "A SCHEMA message has no `key_properties`, so the stream has no keys. Let the tap write \
         `key_properties`, a list that may be empty.",
    ),
    (
        "W-KEYS-REPEATED",
        "A later row of a full read has the key of an earlier row and replaces it. Choose keys \
         that are unique in the source, or load by `append-only`.",
    ),
    (
        "W-KINDS-AS-TEXT",
        "Values of a column are of several kinds and become text. A number and a string of the \
         same digits are then the same. Declare one of the kinds, or an empty schema for the \
         property, which keeps values as JSON.",
    ),
    (
        "W-KINDS-MIXED",
        "JSON values of a column are of several kinds and are kept as JSON. Set the type of the \
         column in `types` (`schema` in tap-api) to change this.",
    ),
    (
        "W-LINK-DEAD",
        "A link leads to a file that cannot be read. Remove the link, or repair its target.",
    ),
    (
        "W-LINK-OUTSIDE",
        "A link on a server leads out of the folder that is read, or a link leads to a folder that \
         contains it. Its target is left out.",
    ),
    (
        "W-LOCK-UNSURE",
        "A lock cannot be checked, or other hosts write to the same folder and their locks are \
         not visible here. Give each host a folder of its own, or mount the folder with shared \
         locks.",
    ),
    (
        "W-MAP-UNUSED",
        "A stream map or transformation names a stream that did not come. Correct the name, or \
         remove the entry.",
    ),
    (
        "W-MARK-IGNORED",
        "Meltano's database has a job as running, and `--force` runs it nevertheless. Two runs of \
         a job at once may load rows twice, and leave the state of the one that ends last.",
    ),
    (
        "W-MARK-INSIDE",
        "Byte order marks inside a file are skipped. Have the file written without them.",
    ),
    (
        "W-MARK-STALE",
        "Meltano's database has a job as running whose run was killed. The job is marked as failed \
         there, and the run goes on.",
    ),
    (
        "W-MORE-PAGES",
        "The answer says that there are more pages, but no setting says how to request them. Set \
         `pagination_request_style`.",
    ),
];
