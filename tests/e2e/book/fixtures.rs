//! What pages need to be run: databases, servers and files, under the names that pages have.

use std::any::Any;
use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::book::servers;
use support::cluster::{Cluster, Database, private};
use support::example::Example;
use support::python::READERS;
use support::run::file;
use support::{folder, root, sshd};

/// The names of all fixtures.
pub const NAMES: [&str; 5] = ["sales", "example", "api", "sftp", "empty"];

/// What is there for one page.
#[derive(Default)]
pub struct Fixture {
    /// Where its blocks are run.
    pub folder: PathBuf,
    /// Variables of the shell.
    pub variables: Vec<(&'static str, String)>,
    /// Folders of programs, beside ours.
    pub programs: Vec<PathBuf>,
    /// What stands on the page, and what it is here.
    pub names: Vec<(&'static str, String)>,
    /// Lives as long as the page runs.
    pub held: Vec<Box<dyn Any>>,
}

/// Makes what a page needs.
pub fn prepare(name: &str, server: &Server) -> Fixture {
    match name {
        "sales" => sales(server),
        "example" => example(),
        "api" => api(server),
        "sftp" => sftp(server),
        _ => scratch(),
    }
}

/// The server of the pages, `db.example.com` with the user `loader`; it starts when it is needed.
#[derive(Default)]
pub struct Server(OnceCell<Arc<Cluster>>);

impl Server {
    fn cluster(&self) -> &Arc<Cluster> {
        self.0.get_or_init(|| {
            let cluster = private("");
            Database::of(&cluster, "postgres").psql("CREATE ROLE loader SUPERUSER LOGIN");
            cluster
        })
    }
}

/// Only a folder.
fn scratch() -> Fixture {
    let folder = folder();
    Fixture { folder: folder.path().to_owned(), held: vec![Box::new(folder)], ..Fixture::default() }
}

/// An API, and the databases.
fn api(server: &Server) -> Fixture {
    let web = servers::api();
    let mut fixture = with_databases(scratch(), server);
    fixture.names.push(("https://shop.example.com", web.url.clone()));
    fixture.held.push(Box::new(web));
    fixture
}

/// An SFTP server, and the databases.
fn sftp(databases: &Server) -> Fixture {
    let (server, login) = (servers::sftp(), sshd::login());
    let mut fixture = with_databases(scratch(), databases);
    let key = fs::read(login.key("user_ed25519")).unwrap();
    let key = file(&fixture.folder, "id_ed25519", key);
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    let known = format!("[127.0.0.1]:{} {}\n", server.port, login.public("host_ed25519"));
    file(&fixture.folder, "known_hosts", known);
    fixture.names.push(("sftp.example.com", "127.0.0.1".to_owned()));
    fixture.names.push(("\"port\": 22", format!("\"port\": {}", server.port)));
    fixture.names.push(("\"username\": \"loader\"", format!("\"username\": {:?}", login.user)));
    fixture.held.push(Box::new(server));
    fixture
}

/// The databases `sales` and `warehouse`, the second one empty, made anew.
fn with_databases(mut fixture: Fixture, server: &Server) -> Fixture {
    let cluster = server.cluster();
    let postgres = Database::of(cluster, "postgres");
    for name in ["sales", "warehouse"] {
        postgres.psql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        postgres.psql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
    }
    let script = fs::read_to_string(root().join("demo/sales.sql")).unwrap();
    Database::of(cluster, "sales").psql(&script);
    let socket = cluster.folder.to_str().unwrap();
    fixture.variables.push(("PGPORT", cluster.port.to_string()));
    fixture.names.push(("@db.example.com", format!("@{}", socket.replace('/', "%2F"))));
    fixture.names.push(("db.example.com", socket.to_owned()));
    fixture.names.push(("5432", cluster.port.to_string()));
    fixture.programs.push(cluster.binaries.clone());
    fixture
}

fn sales(server: &Server) -> Fixture {
    let mut fixture = with_databases(scratch(), server);
    let script = fs::read_to_string(root().join("demo/order_details.sql")).unwrap();
    let rows = Database::of(server.cluster(), "sales").psql(&script);
    file(&fixture.folder, "order_details.csv", rows + "\n");
    fixture.programs.push(READERS.programs());
    fixture
}

/// The example project, with its demo.
fn example() -> Fixture {
    let project = Example::new("book").with_variables();
    let demo = project.path().join("demo");
    for entry in fs::read_dir(root().join("demo")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, demo.join(path.file_name().unwrap())).unwrap();
    }
    let programs = vec![support::cluster::binaries(), READERS.programs()];
    let folder = project.path().to_owned();
    Fixture { folder, programs, held: vec![Box::new(project)], ..Fixture::default() }
}
