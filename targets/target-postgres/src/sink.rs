//! The sink of one stream: rows straight into the table or through a staging table, and what
//! changed.

use std::rc::Rc;

use pg::failure::sqlstate;
use singer::{
    Batch, Cell, Durability, End, Envelope, Error, ErrorKind, Rejects, Result, Sink, Stream, added,
};

use crate::compare::Comparison;
use crate::connection::{Effect, explained};
use crate::counts::Counts;
use crate::direct::{Direct, Sent};
use crate::fields::{Fields, Incoming};
use crate::mapping::Mapping;
use crate::memory::Claim;
use crate::names::TableName;
use crate::order::Order;
use crate::route::Route;
use crate::session::{Role, Session};
use crate::settings::{LoadMethod, Settings};
use crate::small::{self, Joining, Small};
use crate::stage::Stage;
use crate::work::Work;
use crate::{dayless, load, lost, promises};

/// The SQLSTATE of a row that refers to one that is not there.
const FOREIGN_KEY_VIOLATION: &str = "23503";

/// The rows of one stream on their way into their table.
pub struct PostgresSink {
    settings: Rc<Settings>,
    mapping: Mapping,
    fields: Fields,
    /// What comes beside what the table keeps of it, where types alone do not tell.
    comparison: Option<Comparison>,
    route: Route,
    stage: Option<Stage>,
    /// Whether the table, or the partition, had no row when the first of ours came.
    fresh: Option<bool>,
    version: Option<i64>,
    /// The last rows came with a version.
    versioned: bool,
    counts: Counts,
    /// Whether the run made the table.
    made: bool,
    /// How many rows were staged when the server last missed rows that they refer to.
    waiting_rows: u64,
    /// That the stream fills the table, where that is still to be remembered.
    claim: Option<Claim>,
    order: Order,
}

impl PostgresSink {
    /// Compares the stream with its table; that changes with the first rows.
    pub fn open(
        session: &mut Session,
        settings: Rc<Settings>,
        stream: &Stream,
        name: TableName,
    ) -> Result<Self> {
        let mut mapping = Mapping::new(Rc::clone(&settings), stream, name)?;
        let order = session.begin(&mapping)?;
        let (client, memory) = session.remembering()?;
        // Another stream has other columns and keys: that is said before what comes of it.
        let fields = mapping.adopt(client, stream).map_err(|failure| {
            let other = memory.taken_by_another(client, stream, &mapping.shape.name);
            other.unwrap_or(failure)
        })?;
        let claim = lost::check(client, memory, &mapping)?;
        lost::warn_of_added(client, &mapping)?;
        dayless::warn(client, &mapping)?;
        if mapping.change.asks_promises {
            let columns = mapping.shape.columns.iter().map(|column| column.name.as_str());
            promises::warn(client, &mapping.shape.name, columns)?;
        }
        let comparison = mapping.comparison(&fields, session.next_number())?;
        Ok(Self {
            settings,
            mapping,
            fields,
            comparison,
            route: Route::Open,
            stage: None,
            fresh: None,
            version: None,
            versioned: false,
            counts: Counts::default(),
            made: false,
            waiting_rows: 0,
            claim,
            order,
        })
    }

    /// Decides how the next rows travel, which are so large.
    fn set_out(&mut self, session: &mut Session, bytes: usize) -> Result<()> {
        if !matches!(self.route, Route::Open) {
            return Ok(());
        }
        if !self.mapping.has_columns() {
            let message = "cannot load rows without columns";
            return Err(Error::new(ErrorKind::Data, message).hint(
                "let the tap declare the properties of the stream, or set `add_record_metadata`",
            ));
        }
        let shares = self.mapping.may_share() && self.comparison.is_none();
        let shares = shares && Small::fits(bytes) && !session.is_direct_taken();
        if shares && self.fresh.is_none() && !session.has_waiting() {
            // That it has none is to be seen under its lock.
            let client = session.connection(Role::Shared).idle()?;
            let has_rows = load::has_rows(client, &self.mapping);
            let has_rows = has_rows.map_err(|failure| self.mapping.located(explained(failure)))?;
            self.fresh = has_rows.then_some(false);
        }
        if shares && !self.merges() {
            let direct = small::describe(session, &self.mapping, &self.fields, false)?;
            self.route = Route::Small(Small::new(direct));
            return Ok(());
        }
        self.set_out_alone(session)
    }

    /// Decides how rows travel that share no transaction.
    fn set_out_alone(&mut self, session: &mut Session) -> Result<()> {
        let direct = if self.mapping.may_go_direct() && !self.merges() {
            self.begin_direct(session)
                .map_err(|failure| self.mapping.located(explained(failure)))?
        } else {
            None
        };
        self.route = direct.map_or(Route::Staged(Role::Shared), Route::Direct);
        Ok(())
    }

    /// Tells whether there are rows to merge with, as far as is known.
    fn merges(&self) -> bool {
        self.mapping.method != LoadMethod::AppendOnly && self.fresh == Some(false)
    }

    /// Has rows that were kept go their way alone.
    fn go_alone(&mut self, session: &mut Session) -> Result<()> {
        let Route::Small(small) = std::mem::replace(&mut self.route, Route::Open) else {
            return Ok(());
        };
        session.let_go(small.bytes());
        self.set_out_alone(session)?;
        let known = Rejects::forgetting();
        for (lines, batch) in small.into_parts() {
            if let Route::Direct(direct) = &mut self.route {
                let sent = direct.send(session.connection(Role::Direct), lines, &batch)?;
                self.sent(session, sent, &batch, &known)?;
            } else {
                self.stage(session, &batch, &known, self.route.role())?;
            }
        }
        Ok(())
    }

    /// Goes on by staging where a key came again in a batch, or before it.
    fn sent(
        &mut self,
        session: &mut Session,
        sent: Sent,
        batch: &Batch,
        rejects: &Rejects,
    ) -> Result<()> {
        match sent {
            Sent::Direct => Ok(()),
            Sent::Repeated(batches) => self.fall_back(session, &batches),
            Sent::RepeatedBefore(batches) => {
                self.fall_back(session, &batches)?;
                self.stage(session, batch, rejects, Role::Direct)
            }
        }
    }

    /// Puts rows that were kept into their table together with those of others, if that is to be.
    fn join(&mut self, session: &mut Session) -> Result<bool> {
        let Route::Small(small) = &self.route else { return Ok(false) };
        let load = Joining {
            mapping: &self.mapping,
            claim: self.claim.clone(),
            order: &mut self.order,
            version: self.version,
            fresh: &mut self.fresh,
            adds: self.mapping.adds_again(self.versioned),
        };
        if !small.join(session, load)? {
            return Ok(false);
        }
        session.let_go(small.bytes());
        self.route = Route::Open;
        Ok(true)
    }

    /// Begins a transaction on the second connection, where it is free and the table has no rows
    /// that ours would have to be merged with.
    fn begin_direct(&mut self, session: &mut Session) -> Result<Option<Direct>> {
        let mapping = &mut self.mapping;
        if !session.take_direct()? {
            return Ok(None);
        }
        session.prepare(&mapping.shape, (mapping.change.creates(), self.claim.is_some()))?;
        let client = session.connection(Role::Direct).idle()?;
        client.execute("BEGIN ISOLATION LEVEL READ COMMITTED")?;
        let made = mapping.change.creates() && mapping.shape.apply(client, &mapping.change)?;
        if made {
            self.fresh = Some(true);
            self.made = true;
        }
        if !load::holds_alone(client, mapping, &mut self.fresh)? {
            client.execute("ROLLBACK")?;
            if mapping.change.creates() {
                // It may have been made meanwhile.
                mapping.change = mapping.shape.compare(client)?;
            }
            session.give_back_direct();
            return Ok(None);
        }
        mapping.change.statements.clear();
        small::describe(session, &self.mapping, &self.fields, made).map(Some)
    }

    /// Stages rows, after making the staging table if there is none.
    fn stage(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        rejects: &Rejects,
        role: Role,
    ) -> Result<()> {
        self.open_stage(session, role)?;
        self.compare(session, batch)?;
        let Some(stage) = &mut self.stage else { return Ok(()) };
        let rows = Incoming { stream: &self.mapping.stream, batch, rejects };
        stage.write(session.connection(role), &mut self.fields, rows)
    }

    /// Finds the cells of a batch that their columns would change; its rows are to be written next.
    fn compare(&mut self, session: &mut Session, batch: &Batch) -> Result<()> {
        let Some(comparison) = &self.comparison else { return Ok(()) };
        let changed =
            comparison.changed(session.connection(Role::Shared), &mut self.fields, batch)?;
        self.fields.refuse(changed);
        Ok(())
    }

    fn open_stage(&mut self, session: &mut Session, role: Role) -> Result<()> {
        if self.stage.is_some() {
            return Ok(());
        }
        let (number, mapping) = (session.next_number(), &self.mapping);
        let table = mapping.shape.name.to_string();
        let connection = session.connection(role);
        let mut stage = Stage::new(number, &table, mapping.lists_lacking(), mapping.staged_own());
        stage.reshape(connection, mapping.staged(), &self.fields)?;
        self.stage = Some(stage);
        Ok(())
    }

    /// Goes on by staging: a key came again. What the table has taken so far stays.
    fn fall_back(&mut self, session: &mut Session, seen: &[Batch]) -> Result<()> {
        self.leave_direct(session)?;
        let known = Rejects::forgetting();
        seen.iter().try_for_each(|batch| self.stage(session, batch, &known, Role::Direct))
    }

    fn leave_direct(&mut self, session: &mut Session) -> Result<()> {
        if let Route::Direct(direct) = &mut self.route {
            direct.forget(session.connection(Role::Direct))?;
            self.counts.inserted += direct.rows();
            self.route = Route::Staged(Role::Direct);
        }
        Ok(())
    }

    /// Waits until the table has taken the rows that go straight there.
    fn settle(&mut self, session: &mut Session) -> Result<()> {
        if matches!(self.route, Route::Small(_)) {
            self.go_alone(session)?;
        }
        let repeated = match &mut self.route {
            Route::Direct(direct) => direct.end(session.connection(Role::Direct))?,
            _ => None,
        };
        repeated.map_or(Ok(()), |seen| self.fall_back(session, &seen))
    }

    /// Commits before the stream's end. Rows that refer to some of another stream which is on its
    /// way straight into its table wait: the server does not see those yet.
    fn commit_batch(&mut self, session: &mut Session) -> Result<()> {
        let may_wait = self.route.role() == Role::Shared && session.is_direct_taken();
        let rows = self.stage.as_ref().map_or(0, Stage::rows);
        // Each try merges all of them: not with every batch.
        if may_wait && rows < 2 * self.waiting_rows {
            return Ok(());
        }
        match self.commit_rows(session, None) {
            Err(refused) if may_wait && sqlstate(&refused) == Some(FOREIGN_KEY_VIOLATION) => {
                self.route = Route::Staged(Role::Shared);
                self.waiting_rows = rows;
                Ok(())
            }
            done => {
                self.waiting_rows = 0;
                done
            }
        }
    }

    /// Commits the rows since the last time.
    fn commit_rows(&mut self, session: &mut Session, end: Option<&End>) -> Result<()> {
        self.settle(session).map_err(|failure| self.mapping.located(failure))?;
        let route = std::mem::replace(&mut self.route, Route::Open);
        self.merge(session, &route, end).map_err(|failure| self.mapping.located(failure))?;
        self.made |= self.mapping.change.creates();
        self.mapping.change.statements.clear();
        self.fresh = if matches!(route, Route::Staged(_)) { Some(false) } else { self.fresh };
        Ok(())
    }

    /// Merges what is staged, in one transaction with the rows that went straight into the table
    /// and the changes of the table itself.
    fn merge(&mut self, session: &mut Session, route: &Route, end: Option<&End>) -> Result<()> {
        let (role, last) = (route.role(), end.is_some());
        if last && role == Role::Shared && self.mapping.replaces() {
            self.open_stage(session, role)?;
        }
        let (mapping, stage) = (&self.mapping, self.stage.as_ref());
        let (schema, claim) = (&mapping.shape.name.schema, self.claim.clone());
        let name = stage.map(Stage::sql).unwrap_or_default();
        let mut work = Work {
            mapping,
            load: stage.map(|stage| (stage.rows(), stage.any_absent())),
            added_to: (role == Role::Direct).then_some(self.counts.inserted),
            merge: mapping.merge(&name, session.started_ms())?,
            end,
            version: self.version.filter(|_| last),
            // The next rows may go straight into the table, on the other connection.
            drops: last || role == Role::Direct || mapping.method == LoadMethod::AppendOnly,
            claim: claim.as_ref(),
            order: None,
            is_made: false,
        };
        let direct = role == Role::Direct;
        let sent = matches!(route, Route::Direct(one) if one.rows() > 0);
        let adds = (sent || stage.is_some_and(|stage| stage.rows() > 0))
            && mapping.adds_again(self.versioned);
        let tell = || {
            if adds {
                added::begin(&mapping.stream.name);
            }
        };
        let effect = Effect {
            table: Some(&work.merge.table),
            spends_stage: stage.is_some(),
            direct,
            judged: false,
        };
        let counts = match role {
            Role::Direct => {
                work.claim = work.claim.filter(|claim| session.takes(claim));
                work.order = Some(&self.order).filter(|_| session.orders(schema));
                let client = session.connection(role).idle()?;
                let counts = work.run(client).map_err(explained)?;
                tell();
                session.connection(role).commit(effect)?;
                session.give_back_direct();
                counts
            }
            Role::Shared if work.is_nothing() => Counts::default(),
            Role::Shared => {
                session.commit_together()?;
                session
                    .prepare(&mapping.shape, (mapping.change.creates(), work.claim.is_some()))?;
                work.claim = work.claim.filter(|claim| session.takes(claim));
                work.order = Some(&self.order).filter(|_| session.orders(schema));
                session
                    .connection(role)
                    .transaction(effect, |client| work.run(client).inspect(|_| tell()))?
            }
        };
        if let Some(claim) = work.claim.filter(|_| role == Role::Direct || !work.is_nothing()) {
            session.settle(claim)?;
            self.claim = None;
        }
        let drops = work.drops;
        self.order.committed();
        self.counts.add(counts);
        if let Route::Direct(direct) = route {
            self.counts.inserted += direct.rows();
        }
        let connection = session.connection(role);
        self.stage = self.stage.take().and_then(|stage| stage.ended(connection, drops));
        Ok(())
    }
}

impl Sink for PostgresSink {
    type Shared = Session;

    fn write(&mut self, session: &mut Session, batch: &Batch, rejects: &Rejects) -> Result<()> {
        self.set_out(session, batch.text_bytes())?;
        let version = batch.width().checked_sub(Envelope::CELLS).map(|at| at + Envelope::VERSION);
        let version = version.filter(|_| batch.rows() > 0);
        self.versioned = version.is_some_and(|at| matches!(batch.cell(0, at), Cell::Text(_)));
        if matches!(self.route, Route::Direct(_)) {
            self.compare(session, batch)?;
        }
        let incoming = Incoming { stream: &self.mapping.stream, batch, rejects };
        let rows = match &mut self.route {
            Route::Small(small) => {
                let kept = small.keep(&mut self.fields, incoming)?;
                let rows = small.rows();
                if !Small::fits(small.bytes()) | !session.keep(kept) {
                    self.go_alone(session)?;
                }
                rows
            }
            Route::Direct(direct) => {
                let connection = session.connection(Role::Direct);
                let sent = direct.write(connection, &mut self.fields, incoming);
                let sent = sent.map_err(|failure| self.mapping.located(failure))?;
                let rows = direct.rows();
                self.sent(session, sent, batch, rejects)?;
                rows
            }
            route => {
                let role = route.role();
                self.stage(session, batch, rejects, role)?;
                self.stage.as_ref().map_or(0, Stage::rows)
            }
        };
        if !self.mapping.replaces() && self.settings.batch_size_rows.is_some_and(|max| rows >= max)
        {
            self.commit_batch(session)?;
        }
        Ok(())
    }

    fn evolve(&mut self, session: &mut Session, stream: &Stream) -> Result<()> {
        lost::check_evolution(&self.mapping, stream, self.made)?;
        // Old rows say nothing about columns that come now.
        self.commit(session)?;
        self.settle(session)?;
        self.leave_direct(session)?;
        let went_on = self.mapping.goes_on();
        let connection = session.connection(self.route.role());
        self.fields = self.mapping.adopt(connection.idle()?, stream)?;
        lost::check_evolved(session.remembering()?, &self.mapping, went_on)?;
        let connection = session.connection(self.route.role());
        let staged = match &mut self.stage {
            Some(stage) => stage.reshape(connection, self.mapping.staged(), &self.fields),
            None => Ok(()),
        };
        self.comparison = self.mapping.comparison(&self.fields, session.next_number())?;
        staged
    }

    fn commit(&mut self, session: &mut Session) -> Result<Durability> {
        if self.mapping.replaces() {
            return Ok(Durability::OnComplete);
        }
        if !matches!(self.route, Route::Open) {
            self.commit_rows(session, None)?;
        }
        Ok(Durability::Durable)
    }

    fn complete(&mut self, session: &mut Session, end: End) -> Result<Durability> {
        if self.join(session).map_err(|failure| self.mapping.located(failure))? {
            if session.is_together_full() {
                session.commit_together()?;
            }
            return Ok(Durability::Together);
        }
        self.commit_rows(session, Some(&end))?;
        session.end(&mut self.order)?;
        self.counts.tell(&self.mapping.shape.name, self.made);
        Ok(Durability::Durable)
    }

    fn activate(&mut self, version: i64, older: bool) -> Result<()> {
        if self.heeds_versions() {
            self.version = Some(version);
            return Ok(());
        }
        self.mapping.ignore_version(version, older)
    }

    fn may_go_on(&self) -> bool {
        !self.mapping.replaces()
    }

    fn heeds_versions(&self) -> bool {
        self.mapping.heeds_versions()
    }
}
