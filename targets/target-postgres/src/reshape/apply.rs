//! Applying a plan: all of it in one transaction, or nothing.

use std::rc::Rc;

use pg::failure::sqlstate;
use pg::{Client, quote_ident};
use serde_json::{Value, json};
use singer::{Aim, Error, ErrorKind, Result, TablesAsked, TablesOrder};

use super::{Action, Filling, Plan, Planning, Remember, TablePlan, VERSION, notes};
use crate::connection::{Connection, Effect};
use crate::locks;
use crate::memory::Memory;
use crate::settings::Settings;

/// Does what a plan says. The plan is made again under locks, and must be the same.
pub fn apply(
    connection: &mut Connection,
    settings: &Rc<Settings>,
    filled: &[Filling<'_>],
    order: &TablesOrder,
) -> Result<Value> {
    let asked = asked(&order.plan)?;
    let done = connection.transaction(Effect::default(), |client| {
        lock(client, &order.plan)?;
        let (plan, remember, memory) = Planning::new(client, settings, &asked).all(filled)?;
        check_same(&order.plan, &plan)?;
        check_free(&plan, order.allow_drop)?;
        change(client, &plan, (remember, memory))?;
        Ok(plan.tables.iter().filter(|table| table.action != Action::None).count())
    })?;
    Ok(json!({ "changed_tables": done }))
}

/// Reads what a plan was asked for.
fn asked(plan: &Value) -> Result<TablesAsked> {
    let aim = plan["aim"].as_str().and_then(Aim::of_word);
    let (Some(aim), Some(VERSION)) = (aim, plan["version"].as_u64()) else {
        return Err(Error::new(ErrorKind::Data, "cannot apply the plan: its form is unknown")
            .hint("make a new plan with this release"));
    };
    Ok(TablesAsked { aim, pipeline: plan["pipeline"].as_str().map(str::to_owned) })
}

/// Keeps loads and other sessions out of the tables that are to be changed, in one order for all.
fn lock(client: &mut Client, plan: &Value) -> Result<()> {
    let tables = plan["tables"].as_array().into_iter().flatten();
    let touched = tables.filter(|table| table["action"] != "none");
    let mut names: Vec<[&str; 2]> = touched
        .filter_map(|table| Some([table["schema"].as_str()?, table["table"].as_str()?]))
        .collect();
    names.sort_unstable();
    for [schema, table] in names {
        locks::lock(client, &format!("{schema}.{table}"))?;
        let sql = pg::quote_qualified(schema, table)?;
        let there = "SELECT 1 FROM pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'p')";
        if !client.query(there, &[Some(&sql)])?.is_empty() {
            client.execute(&format!("LOCK TABLE {sql} IN ACCESS EXCLUSIVE MODE"))?;
        }
    }
    Ok(())
}

/// Refuses a plan that would not be made again.
fn check_same(given: &Value, now: &Plan) -> Result<()> {
    let again = serde_json::to_value(now).unwrap_or_default();
    if again == *given {
        return Ok(());
    }
    let empty = Vec::new();
    let list = |plan: &Value| plan["tables"].as_array().unwrap_or(&empty).clone();
    let (before, after) = (list(given), list(&again));
    let parts = |table: &Value| [table["schema"].clone(), table["table"].clone()];
    let other = |table: &Value, all: &[Value]| !all.contains(table);
    let differs = before.iter().filter(|table| other(table, &after));
    let differs = differs.chain(after.iter().filter(|table| other(table, &before)));
    let mut names: Vec<String> = differs
        .map(|table| {
            parts(table).map(|part| part.as_str().unwrap_or_default().to_owned()).join(".")
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    let found = |plans: &[Value]| -> Vec<[Value; 3]> {
        plans
            .iter()
            .map(|table| [table["schema"].clone(), table["table"].clone(), table["found"].clone()])
            .collect()
    };
    if found(&before) != found(&after) {
        return Err(Error::new(
            ErrorKind::Data,
            "cannot apply the plan: the database has changed since the plan was made",
        )
        .with("tables", names.join(", "))
        .hint("nothing was changed: make a new plan, look at it, and apply that"));
    }
    Err(Error::new(
        ErrorKind::Config,
        "cannot apply the plan: with these settings another plan would be made",
    )
    .with("tables", names.join(", "))
    .hint("nothing was changed: make a new plan, look at it, and apply that"))
}

/// Refuses what loses data without the word to do so, and what something stands against.
fn check_free(plan: &Plan, allow_drop: bool) -> Result<()> {
    for table in &plan.tables {
        if let Some(blocked) = table.blocked.first() {
            return Err(refusal(
                ErrorKind::Unavailable,
                "cannot apply the plan: a change is blocked",
                table,
            )
            .with("blocked by", blocked)
            .hint("nothing was changed: remove what blocks it, make a new plan, and apply that"));
        }
        if let Some(why) = table.refill.first() {
            return Err(refusal(
                ErrorKind::Unavailable,
                "cannot change the table: it has to be filled again",
                table,
            )
            .with("reason", why)
            .hint("nothing was changed"));
        }
    }
    let lost: Vec<&str> =
        plan.tables.iter().flat_map(|table| &table.loses).map(String::as_str).collect();
    if lost.is_empty() || allow_drop {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Usage, "cannot apply the plan: it loses data")
        .with("lost", lost.join("; "))
        .hint("nothing was changed: `--allow-drop` applies it"))
}

fn refusal(kind: ErrorKind, message: &str, table: &TablePlan) -> Error {
    Error::new(kind, message).with("table", table.name())
}

/// Runs the statements, and remembers what they made.
fn change(
    client: &mut Client,
    plan: &Plan,
    (remember, mut memory): (Vec<Remember>, Memory),
) -> Result<()> {
    for schema in &plan.create_schemas {
        locks::lock(client, &format!("schema {schema}"))?;
        run(client, &format!("CREATE SCHEMA {}", quote_ident(schema)?), None)?;
    }
    for table in &plan.tables {
        for statement in &table.statements {
            run(client, statement, Some(table))?;
        }
        if table.action == Action::Drop {
            notes::forget(client, &table.name())?;
        }
    }
    for one in remember {
        let schema = &one.name.schema;
        if let Some(claim) = &one.claim {
            locks::lock(client, &format!("schema {schema}"))?;
            if memory.is_missing(schema) || memory.renewal(schema)?.is_some() {
                memory.make(client, schema)?;
            }
            if memory.takes(claim) {
                claim.write(client)?;
            }
        }
        notes::write(client, &one.name, (plan.pipeline.as_deref(), &one.ids))?;
    }
    Ok(())
}

fn run(client: &mut Client, statement: &str, table: Option<&TablePlan>) -> Result<()> {
    tracing::info!("changing the database: {statement}");
    client.execute(statement).map_err(|failure| {
        let state = sqlstate(&failure).map(str::to_owned);
        let failure = failure.with("statement", statement);
        let failure = match table {
            Some(table) => failure.with("table", table.name()),
            None => failure,
        };
        match state.as_deref() {
            Some("23505") => failure.of_kind(ErrorKind::Data).hint(
                "nothing was changed: several rows have the same key; remove them, or drop the \
                 table and load it again",
            ),
            Some("2BP01" | "0A000" | "42804") => failure.of_kind(ErrorKind::Unavailable).hint(
                "nothing was changed: drop what depends on it, apply the plan, and create it again",
            ),
            _ => failure,
        }
    })?;
    Ok(())
}
