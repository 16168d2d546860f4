//! The partition of a stream's rows: its source and its day, as the settings and the stream say.

use disk::Datestamp;
use singer::{Context, Error, ErrorKind, Result, Stream};

use crate::settings::Settings;

/// Returns a part of the partition: what the settings say, which a stream must not contradict, for
/// the rows of a partition are replaced; else what the stream says.
fn said_by_both(
    setting: &str,
    set: Option<&String>,
    said: Option<String>,
) -> Result<Option<String>> {
    let set = set.filter(|text| !text.is_empty());
    match (set, said) {
        (Some(set), Some(said)) if *set != said => Err(Error::new(
            ErrorKind::Config,
            "the rows belong to another partition than the settings name",
        )
        .with(&format!("`{setting}` of the settings"), set)
        .with("partition of the rows", said)
        .hint(format!(
            "load rows of that partition, or remove `{setting}`: rows of a day of the lake \
                      name their partition themselves"
        ))),
        (set, said) => Ok(set.cloned().or(said)),
    }
}

/// Returns the source and the day that the rows of a stream belong to.
pub fn partition_of(settings: &Settings, stream: &Stream) -> Result<(String, String)> {
    let named = stream.schema.get(singer::schema::PARTITION);
    let part = |key: &str| named.and_then(|named| named[key].as_str()).map(str::to_owned);
    let source = said_by_both("source", settings.source.as_ref(), part("source"))?;
    let datestamp = said_by_both("datestamp", settings.datestamp.as_ref(), part("extracted_at"))?;
    let (Some(source), Some(datestamp)) = (source, datestamp) else {
        return Err(Error::new(ErrorKind::Config, "cannot find the partition of the rows")
            .with("stream", &stream.name)
            .hint("set `source` and `datestamp`, or read the rows from a day of the lake"));
    };
    let day = datestamp.parse::<Datestamp>().with("stream", &stream.name)?;
    Ok((source, day.to_string()))
}
