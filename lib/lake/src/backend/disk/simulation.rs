//! A simulated disk for tests. It watches the steps of `steps.rs`, refuses some, and knows for each
//! moment every state that a power loss could leave.
//!
//! A folder or file has two layers. What was done last is what the running system shows; what an
//! fsync has covered is durable. Of changes to names since the last fsync of their folder a disk
//! may have kept any, in any order but that of one file or folder: each rename or exchange wholly
//! or not at all. Of bytes since the last fsync of their file it may have kept none, some, all, or
//! only their number.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::steps::Step;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// What happens to the steps of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The process dies before the step of this number: this and all later ones are not done.
    pub death: Option<usize>,
    /// The step of this number fails.
    pub failure: Option<(usize, Errno)>,
    /// The file system cannot exchange folders.
    pub no_exchange: bool,
    /// Nothing can be removed: as where files that are open stay when they are removed.
    pub no_removal: bool,
    /// One call makes the whole file system durable.
    pub syncs_at_once: bool,
}

struct Watcher {
    faults: Faults,
    seen: usize,
    done: Vec<Done>,
}

/// A step that was done.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    MakeFolder(PathBuf),
    MakeFile(PathBuf),
    Append(PathBuf, Vec<u8>),
    SyncFile(PathBuf),
    SyncFolder(PathBuf),
    SyncAll,
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Does a step of this thread, unless the simulated disk refuses it.
pub(crate) fn act<T>(step: Step<'_>, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    WATCHER.with_borrow_mut(|watcher| watcher.as_mut().map_or(Ok(()), |w| w.admit(&step)))?;
    // What is removed is known by its names only before.
    let done = WATCHER.with_borrow(|watcher| watcher.is_some().then(|| Done::of(&step)));
    let result = call();
    if result.is_ok() {
        WATCHER.with_borrow_mut(|watcher| {
            if let (Some(watcher), Some(done)) = (watcher, done) {
                watcher.done.extend(done);
            }
        });
    }
    result
}

/// Watches what this thread does to files. Returns what came of it, the steps that were done, and
/// how many were tried.
pub(crate) fn watch<T>(faults: Faults, work: impl FnOnce() -> T) -> (T, Vec<Done>, usize) {
    WATCHER.set(Some(Watcher { faults, seen: 0, done: Vec::new() }));
    let result = work();
    let watcher = WATCHER.take().unwrap();
    (result, watcher.done, watcher.seen)
}

/// Tells whether the simulated disk takes one call for all; the real one does.
pub(crate) fn may_sync_all(may: impl FnOnce() -> bool) -> bool {
    WATCHER.with_borrow(|watcher| {
        watcher.as_ref().map_or_else(may, |watcher| watcher.faults.syncs_at_once)
    })
}

/// Returns how many steps were done by now.
pub(crate) fn steps_done() -> usize {
    WATCHER.with_borrow(|watcher| watcher.as_ref().map_or(0, |watcher| watcher.done.len()))
}

impl Watcher {
    fn admit(&mut self, step: &Step<'_>) -> io::Result<()> {
        let number = self.seen;
        self.seen += 1;
        let dead = self.faults.death.is_some_and(|death| number >= death);
        let failed = self.faults.failure.filter(|(at, _)| *at == number);
        match failed {
            _ if dead => Err(Errno::IO.into()),
            Some((_, errno)) => Err(errno.into()),
            None if self.faults.no_exchange && matches!(step, Step::Exchange(..)) => {
                Err(Errno::INVAL.into())
            }
            None if self.faults.no_removal => match step {
                Step::RemoveTree(_) => Err(Errno::NOTEMPTY.into()),
                Step::RemoveFile(_) => Err(Errno::BUSY.into()),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }
}

impl Done {
    fn of(step: &Step<'_>) -> Vec<Self> {
        vec![match *step {
            Step::Look => return Vec::new(),
            Step::MakeFolder(path) => Self::MakeFolder(path.to_owned()),
            Step::MakeFile(path) => Self::MakeFile(path.to_owned()),
            Step::Append(path, text) => Self::Append(path.to_owned(), text.to_owned()),
            Step::SyncFile(path) => Self::SyncFile(path.to_owned()),
            Step::SyncFolder(path) => Self::SyncFolder(path.to_owned()),
            Step::SyncAll => Self::SyncAll,
            Step::Rename(from, to) => Self::Rename(from.to_owned(), to.to_owned()),
            Step::Exchange(one, other) => Self::Exchange(one.to_owned(), other.to_owned()),
            Step::RemoveFile(path) => Self::Remove(path.to_owned()),
            Step::RemoveTree(path) => return Self::of_tree(path),
        }]
    }

    fn of_tree(path: &Path) -> Vec<Self> {
        let found = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = found.map(|entry| entry.path()).collect();
        names.sort();
        let within = |path: PathBuf| {
            if path.is_dir() { Self::of_tree(&path) } else { vec![Self::Remove(path)] }
        };
        let mut all: Vec<_> = names.into_iter().flat_map(within).collect();
        all.push(Self::Remove(path.to_owned()));
        all
    }
}

/// The files and folders of one moment, by path; a folder has no text.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Reads what is below a folder.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                tree.insert(name, None);
                folders.push(path);
            } else {
                tree.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    tree
}

/// Makes the files and folders of a moment below an empty folder.
pub(crate) fn make(root: &Path, tree: &Tree) {
    for (path, text) in tree {
        match text {
            None => fs::create_dir(root.join(path)).unwrap(),
            Some(text) => fs::write(root.join(path), text).unwrap(),
        }
    }
}

type Names = BTreeMap<String, usize>;

/// A file or folder, known by its number.
enum Node {
    Folder { now: Names, kept: Names },
    File { text: Vec<u8>, kept: usize },
}

/// A change of names that is kept wholly or not at all.
#[derive(Clone)]
struct Change {
    /// Folder, name, and what the name stands for afterwards or, when it goes, before.
    names: Vec<(usize, String, Became)>,
}

#[derive(Clone, Copy)]
enum Became {
    Node(usize),
    Gone(usize),
}

/// A disk with its two layers.
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// Changes of names that no fsync has covered, oldest first.
    pending: Vec<Change>,
}

impl Disk {
    /// Starts from what is below a folder: all of it is durable.
    pub(crate) fn from(root: &Path) -> Self {
        let top = Node::Folder { now: Names::new(), kept: Names::new() };
        let mut disk = Self { root: root.to_owned(), nodes: vec![top], pending: Vec::new() };
        for (path, text) in tree(root) {
            let path = root.join(path);
            match text {
                None => disk.apply(&Done::MakeFolder(path)),
                Some(text) => {
                    disk.apply(&Done::MakeFile(path.clone()));
                    disk.apply(&Done::Append(path.clone(), text));
                    disk.apply(&Done::SyncFile(path));
                }
            }
        }
        for change in std::mem::take(&mut disk.pending) {
            disk.keep(&change);
        }
        disk
    }

    /// Does a step.
    pub(crate) fn apply(&mut self, done: &Done) {
        match done {
            Done::MakeFolder(path) => {
                self.add(path, Node::Folder { now: Names::new(), kept: Names::new() });
            }
            Done::MakeFile(path) => {
                if self.find(path).is_none() {
                    self.add(path, Node::File { text: Vec::new(), kept: 0 });
                }
            }
            Done::Append(path, more) => {
                let node = self.find(path).unwrap();
                let Node::File { text, .. } = &mut self.nodes[node] else { unreachable!() };
                text.extend(more);
            }
            Done::SyncFile(path) => {
                let node = self.find(path).unwrap();
                let Node::File { text, kept } = &mut self.nodes[node] else { unreachable!() };
                *kept = text.len();
            }
            Done::SyncFolder(path) => {
                // Above the root nothing is watched.
                let Some(folder) = self.find(path) else { return };
                let touches = |change: &Change| change.names.iter().any(|(at, ..)| *at == folder);
                let (kept, pending) = self.pending.drain(..).partition(touches);
                self.pending = pending;
                let kept: Vec<Change> = kept;
                for change in &kept {
                    self.keep(change);
                }
            }
            Done::SyncAll => {
                for node in &mut self.nodes {
                    if let Node::File { text, kept } = node {
                        *kept = text.len();
                    }
                }
                for change in std::mem::take(&mut self.pending) {
                    self.keep(&change);
                }
            }
            Done::Rename(from, to) => {
                let node = self.find(from).unwrap();
                let names = [(from, Became::Gone(node)), (to, Became::Node(node))];
                self.change(&names);
            }
            Done::Exchange(one, other) => {
                let (first, second) = (self.find(one).unwrap(), self.find(other).unwrap());
                self.change(&[(one, Became::Node(second)), (other, Became::Node(first))]);
            }
            Done::Remove(path) => {
                let node = self.find(path).unwrap();
                self.change(&[(path, Became::Gone(node))]);
            }
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut node = 0;
        for part in path.strip_prefix(&self.root).ok()? {
            let Node::Folder { now, .. } = &self.nodes[node] else { return None };
            node = *now.get(part.to_str().unwrap())?;
        }
        Some(node)
    }

    fn add(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        self.change(&[(path, Became::Node(self.nodes.len() - 1))]);
    }

    fn change(&mut self, names: &[(impl AsRef<Path>, Became)]) {
        let place = |(path, became): &(_, Became)| {
            let path: &Path = AsRef::<Path>::as_ref(path);
            let folder = self.find(path.parent().unwrap()).unwrap();
            (folder, path.file_name().unwrap().to_str().unwrap().to_owned(), *became)
        };
        let change = Change { names: names.iter().map(place).collect() };
        for (folder, name, became) in &change.names {
            let Node::Folder { now, .. } = &mut self.nodes[*folder] else { unreachable!() };
            became.set(now, name);
        }
        self.pending.push(change);
    }

    fn keep(&mut self, change: &Change) {
        for (folder, name, became) in &change.names {
            let Node::Folder { kept, .. } = &mut self.nodes[*folder] else { unreachable!() };
            became.set(kept, name);
        }
    }

    /// Returns what the running system shows.
    pub(crate) fn now(&self) -> Tree {
        let mut tree = Tree::new();
        collect(0, Path::new(""), &mut tree, &|node| match &self.nodes[node] {
            Node::Folder { now, .. } => Content::Names(now.clone()),
            Node::File { text, .. } => Content::Text(text.clone()),
        });
        tree
    }

    /// Returns every state that a power loss now can leave, each once. Where more than
    /// [`ALL_SUBSETS`] changes are pending, it is those that end early, those that lack one change,
    /// and some more. The files of locks say nothing by being there: all are kept or none is.
    pub(crate) fn after_power_loss(&self) -> BTreeSet<Tree> {
        let locks = self.find(&self.root.join("output/.locks"));
        let of_locks =
            |at: &usize| self.pending[*at].names.iter().any(|(folder, ..)| Some(*folder) == locks);
        let (locks, free): (Vec<_>, Vec<_>) = (0..self.pending.len()).partition(of_locks);
        let mut states = BTreeSet::new();
        for some in subsets(&free) {
            if self.is_in_order(&some) {
                self.with_each_text(&some, &mut states);
                self.with_each_text(&[&some[..], &locks].concat(), &mut states);
            }
        }
        states
    }

    /// Tells whether of each file and folder no later change is kept without an earlier one.
    fn is_in_order(&self, kept: &[usize]) -> bool {
        kept.iter().all(|at| {
            let nodes = self.pending[*at].nodes();
            let earlier =
                (0..*at).filter(|before| !self.pending[*before].nodes().is_disjoint(&nodes));
            earlier.into_iter().all(|before| kept.contains(&before))
        })
    }

    fn with_each_text(&self, kept: &[usize], states: &mut BTreeSet<Tree>) {
        let written = |node: &Node| matches!(node, Node::File { text, kept } if text.len() > *kept);
        let forms = if self.nodes.iter().any(written) { 4 } else { 1 };
        for form in 0..forms {
            let content = |node: usize| match &self.nodes[node] {
                Node::Folder { kept: names, .. } => {
                    let mut names = names.clone();
                    for at in kept {
                        let here = self.pending[*at].names.iter().filter(|(at, ..)| *at == node);
                        here.for_each(|(_, name, became)| became.set(&mut names, name));
                    }
                    Content::Names(names)
                }
                Node::File { text, kept } => Content::Text(match form {
                    0 => text[..*kept].to_owned(),
                    1 => text[..kept + (text.len() - kept) / 2].to_owned(),
                    2 => text.clone(),
                    _ => text[..*kept]
                        .iter()
                        .copied()
                        .chain(text[*kept..].iter().map(|_| 0))
                        .collect(),
                }),
            };
            let mut tree = Tree::new();
            collect(0, Path::new(""), &mut tree, &content);
            states.insert(tree);
        }
    }
}

/// Of so many changes every subset is tried.
const ALL_SUBSETS: usize = 9;

fn subsets(all: &[usize]) -> Vec<Vec<usize>> {
    let of_mask = |mask: usize| {
        let chosen = all.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
        chosen.map(|(_, at)| *at).collect()
    };
    if all.len() <= ALL_SUBSETS {
        return (0..1 << all.len()).map(of_mask).collect();
    }
    let ends = (0..=all.len()).map(|end| all[..end].to_owned());
    let without = (0..all.len()).map(|at| [&all[..at], &all[at + 1..]].concat());
    // Masks spread by a multiplication: the same ones each time.
    let more = (0..200_usize).map(|at| of_mask(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20));
    ends.chain(without).chain(more).collect()
}

/// Fills a tree with what is below a node.
fn collect(node: usize, at: &Path, tree: &mut Tree, content: &dyn Fn(usize) -> Content) {
    let Content::Names(names) = content(node) else { unreachable!() };
    for (name, node) in names {
        let path = at.join(name);
        match content(node) {
            Content::Text(text) => {
                tree.insert(path, Some(text));
            }
            Content::Names(_) => {
                tree.insert(path.clone(), None);
                collect(node, &path, tree, content);
            }
        }
    }
}

enum Content {
    Names(Names),
    Text(Vec<u8>),
}

impl Became {
    fn set(self, names: &mut Names, name: &str) {
        match self {
            Self::Node(node) => {
                names.insert(name.to_owned(), node);
            }
            Self::Gone(node) => {
                if names.get(name) == Some(&node) {
                    names.remove(name);
                }
            }
        }
    }
}

impl Change {
    fn nodes(&self) -> BTreeSet<usize> {
        let node = |(_, _, became): &(usize, String, Became)| match became {
            Became::Node(node) | Became::Gone(node) => *node,
        };
        self.names.iter().map(node).collect()
    }
}
