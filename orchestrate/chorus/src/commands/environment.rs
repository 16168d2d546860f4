//! `chorus environment`: lists the environments of the project and changes them.

use project::edit::Part;
use project::{Project, Source, warning};
use serde_json::json;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::edits::EnvironmentCommand;

/// Does what the command says.
pub fn environment(project: &Project, command: EnvironmentCommand) -> Result<()> {
    let known = project.environment_names();
    let path = |name: &str| vec!["environments".into(), Part::Named { name: name.to_owned() }];
    match command {
        EnvironmentCommand::List => {
            print(&known.iter().flat_map(|name| [name.as_str(), "\n"]).collect::<String>())
        }
        EnvironmentCommand::Add { name } => {
            if known.contains(&name) {
                let text = "an environment of this name is there already";
                return Err(Error::new(ErrorKind::Usage, text).with("environment", name));
            }
            let mut source = Source::open(&project.root)?;
            source.put(path(&name), json!({ "name": name }))?;
            source.write(project.warnings())?;
            print(&format!("Created new environment '{name}'\n"))
        }
        EnvironmentCommand::Remove { name } => {
            if !known.contains(&name) {
                return Err(Error::new(ErrorKind::Usage, "cannot find the environment")
                    .with("environment", name)
                    .hint("`chorus environment list` lists them"));
            }
            let mut source = Source::open(&project.root)?;
            source.remove(path(&name))?;
            source.write(project.warnings())?;
            if project.default_environment() == Some(name.as_str()) {
                project.warnings().warn(warning!(
                    "W-PROJECT-UNUSED",
                    "`default_environment` still names {name}: change it in meltano.yml"
                ));
            }
            print(&format!("Removed environment '{name}'\n"))
        }
    }
}
