//! Streams that went through their contract before: what stands in the place of protected values.

use super::model::Table;
use super::options::Options;
use crate::protect::Protection;

impl Table {
    /// Takes out what cannot be judged of a stream whose values are protected already: those
    /// columns pass as they are, and no rule looks at them.
    pub(crate) fn leave_protected(&mut self) {
        self.properties.retain(|property| property.protection != Some(Protection::Drop));
        let mut left = Vec::new();
        for property in self.properties.iter_mut().filter(|property| property.is_protected()) {
            left.push(property.name.clone());
            property.logical = None;
            property.options = Options::default();
            (property.required, property.unique) = (false, false);
            property.protection = None;
            property.properties.clear();
            property.items = None;
            property.rules.clear();
        }
        self.rules.retain(|rule| rule.columns().iter().all(|name| !left.contains(name)));
    }
}
