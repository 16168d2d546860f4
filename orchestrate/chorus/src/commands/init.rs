//! `chorus init`: makes a new project.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use singer::output::print;
use singer::{Error, ErrorKind, Result};

const PROJECT: &str = "\
default_environment: dev
environments:
- name: dev
- name: staging
- name: prod
send_anonymous_usage_stats: false
";
const IGNORED: &str = "/venv\n/.meltano\n/.chorus\n/output\n.env\n";

/// Makes the files of a project in a folder; those that are there stay as they are.
pub fn init(folder: &Path, force: bool) -> Result<()> {
    let failure = |cause: std::io::Error| {
        Error::new(ErrorKind::Io, "cannot make the project")
            .with("path", folder.display())
            .caused_by(cause)
    };
    let file = folder.join("meltano.yml");
    if file.exists() && !force {
        return Err(Error::new(ErrorKind::Usage, "a project is there already")
            .with("path", file.display())
            .hint("name another folder, or overwrite its meltano.yml with --force"));
    }
    fs::create_dir_all(folder).map_err(failure)?;
    fs::write(&file, PROJECT).map_err(failure)?;
    for (name, text, mode) in [(".gitignore", IGNORED, 0o644), (".env", "", 0o600)] {
        let mut new = fs::OpenOptions::new();
        match new.write(true).create_new(true).mode(mode).open(folder.join(name)) {
            Ok(mut file) => file.write_all(text.as_bytes()).map_err(failure)?,
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(failure(cause)),
        }
    }
    let shown = folder.display();
    print(&format!(
        "Created the project {shown}\n\nNext steps:\n  cd {shown}\n  add plugins to meltano.yml, \
         then: chorus doctor\n"
    ))
}
