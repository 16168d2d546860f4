//! The streams that a tap reads, and what is made of each.

use std::collections::BTreeMap;

use crate::catalog::Stream;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::inline::Stages;
use crate::mapper::Route;
use crate::selection::Selected;

/// A stream that is read.
pub(super) struct Chosen {
    pub selected: Selected,
    /// What is made of it, where it does not stay as it is.
    pub routes: Option<Vec<Route>>,
}

impl Chosen {
    /// Returns the streams that are written.
    pub(super) fn written(&self) -> impl Iterator<Item = &Stream> {
        let itself = self.routes.is_none().then_some(&self.selected.stream);
        let made = self.routes.iter().flatten().map(|route| &route.stream);
        itself.into_iter().chain(made)
    }

    /// Tells whether it is written under other names than its own.
    pub(super) fn has_other_names(&self) -> bool {
        self.written().any(|stream| stream.name != self.selected.stream.name)
    }
}

/// Asks what is made of each stream. One of which nothing is made is not read.
pub(super) fn choose(
    streams: Vec<Selected>,
    stages: Option<&mut (dyn Stages + 'static)>,
) -> Result<Vec<Chosen>> {
    let Some(stages) = stages else {
        let itself = |selected| Chosen { selected, routes: None };
        return Ok(streams.into_iter().map(itself).collect());
    };
    let (mut all, mut names) = (Vec::new(), BTreeMap::new());
    for selected in streams {
        let name = &selected.stream.name;
        let routes = stages.routes(&selected.stream).with("stream", name)?;
        if routes.as_ref().is_some_and(Vec::is_empty) {
            tracing::info!("stream {name} is not read: the settings remove it");
            continue;
        }
        let routes = routes.map(|routes| routes.into_iter().map(Route::saying_texts).collect());
        let chosen = Chosen { selected, routes };
        for written in chosen.written() {
            let from = chosen.selected.stream.name.clone();
            if let Some(other) = names.insert(written.name.clone(), from) {
                return Err(one_name(&written.name, &other, &chosen.selected.stream.name));
            }
        }
        all.push(chosen);
    }
    Ok(all)
}

/// Makes the failure of two streams that would be one for a target.
pub(crate) fn one_name(name: &str, first: &str, second: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot send two streams under one name")
        .with("stream", name)
        .with("of", first)
        .with("and", second)
        .hint("give one of them another name in `stream_maps`")
}
