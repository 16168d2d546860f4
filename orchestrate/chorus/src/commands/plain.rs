//! `chorus validate` and `chorus convert`: files of the plain shape.

use std::fs;
use std::path::{Component, Path, PathBuf};

use project::plain::{Made, Plain, Purpose};
use project::source::Source;
use project::{Warnings, warning};
use singer::output::print;
use singer::{Error, ErrorKind, Result, ResultExt as _};

/// Tells whether a word of the command line names a file of the plain shape.
pub fn is_file(word: &str) -> bool {
    let path = Path::new(word);
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// Reads a file; a failure names it.
pub fn read(file: &Path, warnings: &Warnings) -> Result<Plain> {
    let text = fs::read_to_string(file)
        .or_kind(ErrorKind::NoInput, "cannot read the file")
        .map_err(|failure| {
            failure.with("path", file.display()).hint("check the path; the file must be UTF-8")
        })?;
    let plain = Plain::read(&text).map_err(|failure| failure.with("path", file.display()))?;
    for warning in &plain.warnings {
        warnings.warn(warning.clone());
    }
    warnings.check()?;
    Ok(plain)
}

/// Prints a file in its canonical form.
pub fn validate(file: &Path, warnings: &Warnings) -> Result<()> {
    print(&read(file, warnings)?.canonical())
}

/// Returns the folder in which a file lies.
pub fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Returns the way from one folder to another: a project that is moved with its files finds them.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let [mut down, mut up] = [to, from].map(|path| path.components().peekable());
    while down.peek().is_some() && down.peek() == up.peek() {
        down.next();
        up.next();
    }
    up.map(|_| Component::ParentDir).chain(down).collect()
}

/// Writes the project that a file means.
pub fn convert(file: &Path, into: Option<&Path>, warnings: &Warnings) -> Result<()> {
    let plain = read(file, warnings)?;
    let own = folder_of(file);
    let folder = into.unwrap_or(&own);
    let path = folder.join("meltano.yml");
    if path.exists() {
        return Err(Error::new(ErrorKind::Usage, "a project is there already")
            .with("path", path.display())
            .hint("name another folder with --into"));
    }
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |cause: std::io::Error| {
            Error::new(ErrorKind::Io, "cannot write the project")
                .with("path", path)
                .caused_by(cause)
        }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let absolute = |path: &Path| fs::canonicalize(path).map_err(failed(path));
    let (from, to) = (absolute(folder)?, absolute(&own)?);
    let base = (from != to).then(|| relative(&from, &to));
    let contract = format!("contracts/{}.odcs.yaml", plain.name);
    let lake = format!("lake/{}", plain.name);
    let purpose = Purpose { contract: &contract, lake: &lake, base: base.as_deref() };
    let made = plain.made(purpose);
    if let Some(value) = &made.contract {
        let path = folder.join(&contract);
        fs::create_dir_all(folder.join("contracts")).map_err(failed(&path))?;
        fs::write(&path, Made::yaml(value)).map_err(failed(&path))?;
    }
    fs::write(&path, Made::yaml(&made.file)).map_err(failed(&path))?;
    let source = Source::open(folder)?;
    for (name, value) in &made.secrets {
        source.set_variable(name, Some(value))?;
    }
    source.write(warnings)?;
    if base.is_some() && own.join(".env").is_file() {
        warnings.warn(warning!(
            "W-PROJECT-UNUSED",
            "{} is not read by the new project: copy its lines to {}",
            own.join(".env").display(),
            folder.join(".env").display()
        ));
    }
    let name = &plain.name;
    print(&format!(
        "Wrote the project {}\n\nNext steps:\n  cd {}\n  chorus run {name} --datestamp today\n",
        path.display(),
        folder.display()
    ))
}
