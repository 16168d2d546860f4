//! SQL of the user's own ahead of a load and behind it: `before_run_sql`, `after_run_sql`.

use pg::{Client, Config};
use singer::{Context, Error, ErrorKind, Result};

use crate::schemas::Texts;

/// Runs the SQL of a setting in one transaction, in a session of its own whose settings are those
/// of the role: names without a schema are found where the user finds them.
///
/// The failure names the entry, never its text, which may hold a secret.
pub fn run(config: &Config, setting: &str, sql: &Texts) -> Result<()> {
    let mut client = Client::connect(config)?;
    client.execute("RESET ALL")?;
    client.execute("BEGIN")?;
    for (at, entry) in sql.list().enumerate() {
        let entry_number = at + 1;
        let done = client.execute(entry);
        done.with("setting", setting).with("entry", entry_number)?;
        if !client.in_transaction() {
            return Err(Error::new(ErrorKind::Config, "cannot run SQL that ends its transaction")
                .with("setting", setting)
                .with("entry", entry_number)
                .hint("remove COMMIT and ROLLBACK: all entries run in one transaction"));
        }
    }
    client.execute("COMMIT").with("setting", setting)?;
    tracing::info!("the SQL of `{setting}` was run and committed");
    Ok(())
}
