//! The functions and methods that there are.

/// Makes an enumeration whose members are written by a name.
macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($member:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $kind { $($member,)* }

        impl $kind {
            pub(crate) const NAMES: &'static [&'static str] = &[$($name,)*];

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$member),)*
                    _ => None,
                }
            }

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)*
                }
            }
        }
    };
}

pub(super) use named;

named! {
    /// What is called by a name.
    Function {
        Bool = "bool",
        Date = "datetime.date",
        DateFromIso = "datetime.date.fromisoformat",
        DateToday = "datetime.date.today",
        DateTime = "datetime.datetime",
        FromIso = "datetime.datetime.fromisoformat",
        FromTimestamp = "datetime.datetime.fromtimestamp",
        Now = "datetime.datetime.now",
        Strptime = "datetime.datetime.strptime",
        Today = "datetime.datetime.today",
        UtcFromTimestamp = "datetime.datetime.utcfromtimestamp",
        UtcNow = "datetime.datetime.utcnow",
        TimeDelta = "datetime.timedelta",
        Dict = "dict",
        Float = "float",
        Int = "int",
        Dumps = "json.dumps",
        Loads = "json.loads",
        Len = "len",
        List = "list",
        Md5 = "md5",
        Sha256 = "sha256",
        Str = "str",
        Tuple = "tuple",
    }
}

named! {
    /// What is called on a value.
    Method {
        AsTimezone = "astimezone",
        Capitalize = "capitalize",
        Casefold = "casefold",
        Center = "center",
        Count = "count",
        Date = "date",
        Decode = "decode",
        Encode = "encode",
        EndsWith = "endswith",
        Find = "find",
        Get = "get",
        Hex = "hex",
        Index = "index",
        IsAlnum = "isalnum",
        IsAlpha = "isalpha",
        IsDecimal = "isdecimal",
        IsDigit = "isdigit",
        IsLower = "islower",
        IsNumeric = "isnumeric",
        IsoFormat = "isoformat",
        IsoWeekday = "isoweekday",
        IsSpace = "isspace",
        IsTitle = "istitle",
        IsUpper = "isupper",
        Items = "items",
        Join = "join",
        Keys = "keys",
        LJust = "ljust",
        Lower = "lower",
        LStrip = "lstrip",
        Partition = "partition",
        RemovePrefix = "removeprefix",
        RemoveSuffix = "removesuffix",
        Replace = "replace",
        RFind = "rfind",
        RJust = "rjust",
        RPartition = "rpartition",
        RSplit = "rsplit",
        RStrip = "rstrip",
        Split = "split",
        SplitLines = "splitlines",
        StartsWith = "startswith",
        Strftime = "strftime",
        Strip = "strip",
        SwapCase = "swapcase",
        Timestamp = "timestamp",
        Title = "title",
        TotalSeconds = "total_seconds",
        Upper = "upper",
        Values = "values",
        Weekday = "weekday",
        ZFill = "zfill",
    }
}
