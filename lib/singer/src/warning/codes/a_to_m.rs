//! The codes from A to M.

pub(super) const CODES: &[(&str, &str)] = &[
    (
        "W-BOOKMARK-BEYOND",
        "No row of a table has a key at or beyond the bookmark, and its numbers may have begun \
         anew. No run reads such rows: read the stream once without a bookmark.",
    ),
    (
        "W-BOOKMARK-HELD",
        "A transaction that writes a table stayed open longer than `writers_wait_seconds`, and may \
         add rows before those that were read. The bookmark stays before them, so that none is \
         lost, and the next run reads them again. End the transaction, or wait longer.",
    ),
    (
        "W-BOOKMARK-IN-FUTURE",
        "A bookmark is later than the start of the run, so rows before it are not read. Correct \
         the state, or read the stream once without a bookmark.",
    ),
    (
        "W-BOOKMARK-UNUSED",
        "A bookmark of the state is of another replication key, or has no value that can be read. \
         All rows are read again. Correct the state, or remove the bookmark.",
    ),
    (
        "W-CHECK-WRITES",
        "`chorus check` writes a small stream to where the target writes. Remove it \
         afterwards, or point the check elsewhere.",
    ),
    (
        "W-COLUMN-ADDED",
        "Columns come by a run that reads the rows since a bookmark alone, so rows from before \
         have no value there, or an old one. Read the stream once without its bookmark.",
    ),
    (
        "W-COLUMN-ALIKE",
        "Files or objects of one table, or a stream and the table it is loaded into, spell a \
         column in ways that differ in case, spaces, `_-.` or characters that look alike. Each \
         spelling is a column of its own. Correct the names.",
    ),
    (
        "W-COLUMN-MISSING",
        "No file that a run read has a column of the stream, so all of its rows have null there, \
         also those that take the place of rows with values. Correct the files, or deselect the \
         column.",
    ),
    (
        "W-COLUMN-NOT-READABLE",
        "The user may not read some columns, so they are left out. Grant SELECT on them, or \
         deselect them.",
    ),
    (
        "W-COLUMN-UNKNOWN",
        "Files have columns that the catalog does not know, and they are left out. Write the \
         catalog again with `--discover`.",
    ),
    (
        "W-COMMIT-UNSURE",
        "The connection broke before the server answered a COMMIT. The target asks the server \
         what became of it.",
    ),
    (
        "W-CONDITION-CHANGED",
        "The rows up to a bookmark were read by conditions (`custom_where_clauses`) that are no \
         longer set, and what these left out is not read. Read the stream once without its \
         bookmark.",
    ),
    (
        "W-CONNECTION-LOST",
        "The connection was lost and is made again. Rows are neither lost nor doubled.",
    ),
    (
        "W-COUNT-DIFFERS",
        "The API announced another number of records than it gave. Check the paging settings.",
    ),
    (
        "W-DAMAGED-PAGES",
        "The server is set to pass over damaged pages, so that rows may be missing. Switch the \
         setting off, and look after its disk.",
    ),
    (
        "W-DATA-MOVED",
        "The data changed while its pages were read. Sort by a key that does not change, or \
         page by token.",
    ),
    (
        "W-DAY-IN-FUTURE",
        "The day of a run has not begun yet. Correct it: what is written for it will be newer \
         than all days before it.",
    ),
    (
        "W-DAY-OLDER",
        "A day is loaded after a later one, and rows of it take the place of newer ones. \
         Load the later days again by the command that the warning names, or set `load_method: \
         replace-partition`.",
    ),
    (
        "W-DAYS-MISSED",
        "A schedule did not run for some days, and does not make up for them. Run them by the \
         command that the warning names, or set `missed: all`.",
    ),
    (
        "W-DELIMITER-DOUBTFUL",
        "The only column has another delimiter in its name, or names begin with a space. Set \
         `delimiter`, or `skipinitialspace`.",
    ),
    (
        "W-ENCODING-DOUBTFUL",
        "A file is read in one encoding, but its text is UTF-8 as well. Check `encoding`.",
    ),
    (
        "W-END-BY-REFUSAL",
        "The API refused a page, and this is taken for the end of the records. Check the page \
         limits of the API.",
    ),
    (
        "W-ERROR-IN-ANSWER",
        "An answer of the API tells of a failure beside its records, or `error_in_answer: warn` \
         takes it. Look at what it says.",
    ),
    (
        "W-FILE-APART",
        "A JSON file has none of the columns of the files before it, and is read. Give it a table \
         of its own if its objects are other rows.",
    ),
    (
        "W-FILE-MOVED",
        "A file has another name than when it was read, or was compressed since. It is not read \
         again where its bytes prove it; else the warning says so, and its rows may come twice.",
    ),
    (
        "W-FILE-NOT-READ",
        "A file is left out: it is not a regular file, it has a name that cannot be used, its \
         ending tells no format, or its text is no table.",
    ),
    (
        "W-FILE-OPEN-TO-ALL",
        "Everybody can change a file that says whom to trust. Run `chmod o-w` on it.",
    ),
    (
        "W-FILE-REPLACED",
        "A file of an earlier run or of another day has the same time in its name and is replaced. \
         Let `timestamp_format` go down to the second, in UTC, and `datestamp_format` have the \
         whole date.",
    ),
    (
        "W-FILE-TWICE",
        "Several names lead to one file, which is read once, by the name that the warning tells. \
         Or a file and one that may be its compressed copy are both read: remove one.",
    ),
    ("W-FILE-UNFINISHED", "A file is still being written. The next run reads it."),
    ("W-FOLDER-LEFT", "A folder of an earlier step could not be removed. The next run removes it."),
    (
        "W-HEADER-DOUBTFUL",
        "The first line of a file is taken for its header, but looks like a row. Set `header` to \
         false if it is one.",
    ),
    (
        "W-HEADER-REPEATED",
        "Lines within a file are its header once more, in whatever spelling, and are passed over; \
         below one with another order, rows are read in that order. Have the file written with \
         one header.",
    ),
    ("W-HISTORY-DAMAGED", "A record of an earlier run cannot be read and is left out."),
    (
        "W-HOOK-FAILED",
        "A job has failed, and what its `on_failure` names was not told: the command has failed, \
         the address has refused it, or ten seconds were not enough, twice.",
    ),
    (
        "W-KEY-IN-FUTURE",
        "Rows have a replication key later than the start of the run. The bookmark does not move \
         to them, and every run reads them again. Correct them, or set `bookmark_cap` to false.",
    ),
    (
        "W-KEY-OVER-CHILDREN",
        "A stream has the rows of child tables too, and nothing holds those to its key. Select \
         the child tables as streams of their own.",
    ),
    (
        "W-KEY-RESPELLED",
        "Keys are one in the table that may be two in the source: their column takes different \
         texts for equal, or U+0000 in them is replaced. Load into a column of type text.",
    ),
    (
        "W-KEY-SHARED",
        "Rows of a table share the key that the catalog has for it, and a load by key keeps one of \
         them. Write the catalog again with `--discover`, or correct the key.",
    ),
    (
        "W-KEYS-MISSING",
        "A SCHEMA says nothing of the keys of its stream, so the stream has none. Let the tap \
         write `key_properties`, a list that may be empty.",
    ),
    (
        "W-KEYS-REPEATED",
        "A later row of a full read has the key of an earlier one, and takes its place. Choose \
         keys that are unique in the source, or load by `append-only`.",
    ),
    (
        "W-KINDS-AS-TEXT",
        "Values of a column are of several kinds and become text, where a number and a string of \
         its digits are the same. Declare one of the kinds, or an empty schema for the property, \
         which keeps values as JSON.",
    ),
    (
        "W-KINDS-MIXED",
        "JSON values of a column are of several kinds, and are kept as JSON. Set `types` of the \
         column (`schema` in tap-api) to have another type.",
    ),
    (
        "W-LINK-DEAD",
        "A link leads to nothing that can be read. Remove the link, or mend what it leads to.",
    ),
    (
        "W-LINK-OUTSIDE",
        "A link leads out of the folder that is read, or back into it. Its target is left \
         out.",
    ),
    (
        "W-LOCK-UNSURE",
        "A lock cannot be looked at, or other hosts write to a folder whose locks are not seen \
         here. Give each host a folder of its own, or mount it with shared locks.",
    ),
    (
        "W-MARK-INSIDE",
        "Byte order marks within a file are passed over. Have the file written without them.",
    ),
    (
        "W-MORE-PAGES",
        "The answer says that there are more pages, and no setting follows them. Set \
         `pagination_request_style`.",
    ),
];
