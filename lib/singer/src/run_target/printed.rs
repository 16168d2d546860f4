//! The states that a target prints.

use super::Delivery;
use super::outgoing::Outgoing;
use crate::error::Result;
use crate::last_state::LastState;
use crate::target::Target;
use crate::{added, output};

impl<T: Target> Delivery<T> {
    /// Prints the last state if all rows before it are durable; it waits for those that wait.
    pub(super) fn print_state(&mut self) -> Result<()> {
        let on_the_way = |stream: &Outgoing<_>| stream.dirty && !stream.waits;
        if !self.state_pending || self.streams.iter().any(on_the_way) {
            return Ok(());
        }
        self.state_pending = false;
        let Some(state) = self.state.clone() else { return Ok(()) };
        if self.waiting.is_some() {
            self.held = Some(state);
            return Ok(());
        }
        self.print(&state)
    }

    pub(super) fn print(&mut self, state: &LastState) -> Result<()> {
        let marked = self.marked(state, false)?;
        output::print(&format!("{}\n", marked.as_deref().unwrap_or(state.text())))?;
        self.cover(state);
        Ok(())
    }

    /// Takes note of the rows that a state which was printed covers.
    fn cover(&mut self, state: &LastState) {
        for stream in self.streams.iter_mut().filter(|one| added::is_uncovered(&one.name)) {
            let mark = added::mark(state.bookmark(&stream.of_tap));
            if !mark.is_null() && mark != stream.mark {
                added::cover(&stream.name);
                stream.mark = mark;
            }
        }
    }

    /// Returns a state with the places of the rows in its bookmarks, where it has others: of all
    /// streams, or of those alone that were found to be as the state knows them.
    pub(super) fn marked(&mut self, state: &LastState, only_found: bool) -> Result<Option<String>> {
        if !T::KNOWS_PLACES || !self.ours {
            return Ok(None);
        }
        let written = self.streams.iter().filter(|_| !only_found);
        let written = written.map(|stream| (stream.of_tap.as_str(), stream.name.as_str()));
        let found = self.found.iter().map(|name| (name.as_str(), name.as_str()));
        state.with_places(written.chain(found), &mut |name| self.target.place(name))
    }
}
