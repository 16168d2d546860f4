//! The settings of contracts, protection and row hashes.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind, Result, Secret};

use crate::row_hash::RowHashSettings;

/// What a stream is held to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContractSettings {
    /// Files with contracts in the Open Data Contract Standard 3.1, or folders with files
    /// `*.odcs.yaml`.
    pub contracts: Vec<PathBuf>,
    /// Secret of at least 32 bytes, from which the keys of hashes and tokens are made. Make one
    /// with `openssl rand -base64 32`.
    #[serde(deserialize_with = "filled")]
    #[schemars(schema_with = "secret")]
    pub protect_key: Option<Secret>,
    /// Accepts exactly the columns of a contract. Otherwise `extra_columns` and `missing_columns`
    /// say what happens, and a warning names the differences.
    pub strict: bool,
    /// What happens to columns and streams that no contract lists: `keep` passes them on, `drop`
    /// leaves them out, `fail` ends the run.
    pub extra_columns: ExtraColumns,
    /// What happens when a stream lacks a column of its contract: `fail` ends the run, `null` adds
    /// the column without values.
    pub missing_columns: MissingColumns,
    /// What happens to a value that breaches the contract: `fail` ends the run, `reject` sets the
    /// row aside, `null` replaces the value with null where null is allowed. `keep` changes and
    /// judges nothing: a warning says how the columns differ from the contract.
    pub on_violation: OnViolation,
    /// What happens when a stream gets a new column during a run: `evolve` accepts it, `freeze`
    /// ends the run, `discard` leaves the column out.
    pub columns_change: ColumnsChange,
    /// Ends the run before the first row of a stream when a column of it has no `classification`.
    pub require_classification: bool,
    /// Says that the streams went through the contract before, such as those of a day that was
    /// written behind it: protected columns are not protected again, and their values not judged.
    pub already_protected: bool,
    /// Adds the column `_row_hash`, made of the values of a row, and makes it the key.
    pub row_hash: Option<RowHashSettings>,
}

impl ContractSettings {
    /// Refuses settings that have no effect without contracts.
    pub(super) fn check_without_contracts(&self) -> Result<()> {
        let asks = [
            (self.require_classification, "require_classification"),
            (self.strict, "strict"),
            (self.extra_columns != ExtraColumns::Keep, "extra_columns"),
        ];
        let Some((_, setting)) = asks.iter().find(|(asks, _)| *asks) else { return Ok(()) };
        let message = "cannot hold streams to contracts without contracts";
        Err(Error::new(ErrorKind::Config, message)
            .with("setting", setting)
            .hint("name the files with the contracts in `contracts`"))
    }

    /// Refuses `keep` where columns are protected: values that nothing judges would pass as they
    /// are.
    pub(super) fn check_kept(&self, protects: bool) -> Result<()> {
        if !protects || self.on_violation != OnViolation::Keep {
            return Ok(());
        }
        let message = "cannot protect columns with `on_violation: keep`: no value is looked at";
        Err(Error::new(ErrorKind::Config, message)
            .with("setting", "on_violation")
            .hint("set it to fail, reject or null"))
    }
}

fn secret(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<Secret>()
}

/// Reads a secret; an empty one, as a variable without a value gives it, is none.
fn filled<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Secret>, D::Error> {
    let secret = Option::<Secret>::deserialize(deserializer)?;
    Ok(secret.filter(|secret| !secret.reveal().is_empty()))
}

/// What happens to columns that no contract lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExtraColumns {
    /// They pass.
    #[default]
    Keep,
    /// They are left out.
    Drop,
    /// They end the run.
    Fail,
}

/// What happens when a stream lacks a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingColumns {
    /// That ends the run.
    #[default]
    Fail,
    /// The column has no values.
    Null,
}

/// What happens to a value that breaches the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnViolation {
    /// That ends the run.
    #[default]
    Fail,
    /// The row is set aside.
    Reject,
    /// The value becomes null.
    Null,
    /// Nothing is judged.
    Keep,
}

/// What happens when a stream gets a new column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnsChange {
    /// It is accepted.
    #[default]
    Evolve,
    /// That ends the run.
    Freeze,
    /// The column is left out.
    Discard,
}
