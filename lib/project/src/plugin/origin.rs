//! Where the value of a setting is from.

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the shell.
    Shell(String),
    /// A variable of `.env`.
    Dotenv(String),
    /// A variable of an `env` block of the project.
    EnvBlock(String),
    /// The active environment.
    Environment,
    /// The plugin's own entry.
    Own,
    /// Meltano's system database.
    Database,
    /// The entry of a plugin that it inherits from.
    Inherited(String),
    /// Its default in a lock file.
    Lock,
    /// Its default, or nothing.
    Default,
}

impl Origin {
    /// Tells whether nobody set the value.
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default | Self::Lock)
    }

    /// Names it for people, as Meltano does.
    pub fn label(&self) -> String {
        match self {
            Self::Shell(name) => format!("from the {name} variable in the environment"),
            Self::Dotenv(name) => format!("from the {name} variable in `.env`"),
            Self::EnvBlock(name) => format!("from the {name} variable in `env` of `meltano.yml`"),
            Self::Environment => "from the active environment in `meltano.yml`".to_owned(),
            Self::Own => "from `meltano.yml`".to_owned(),
            Self::Database => "from the system database".to_owned(),
            Self::Inherited(name) => format!("inherited from '{name}'"),
            Self::Lock => "default, from the lock file".to_owned(),
            Self::Default => "default".to_owned(),
        }
    }
}
