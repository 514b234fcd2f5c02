// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs in Python: the reference with its tests and vectors, the check of fresh envelopes, and the makers of other tools' values.

use std::path::{Path, PathBuf};

use crate::command::{Failure, Place, Run};
use crate::tools;

const VECTORS: &str = "tests/vectors";

/// Programs in Python that have packages of their own.
struct Kit {
    /// Where they are, with their `requirements.txt`.
    folder: &'static str,
    /// What their packages are below the target folder.
    packages: &'static str,
    /// Succeeds if the packages are there.
    probe: &'static str,
}

const REFERENCE: Kit = Kit { folder: "python/reference", packages: "python", probe: "import cryptography" };
const FOREIGN: Kit =
    Kit { folder: "foreign/tests/vectors", packages: "python-foreign", probe: "import cryptography, tink" };

/// The reference's own tests, and every vector recomputed by it.
pub(crate) fn test(place: &Place) -> Result<(), Failure> {
    let python = Python::prepare(place, &REFERENCE)?;
    python.run(place, ["-m", "unittest", "discover", "-s", "tests"]).run()?;
    let vectors = place.root.join(VECTORS);
    python.run(place, ["-m", "amanat_reference", "vectors"]).args([&vectors]).args(["--check"]).run()
}

/// Makes values with the tools that amanat-foreign opens values of, and opens them: Fernet, pgcrypto, Tink and OpenBao from their real programs;
/// Lockbox and Rails too where their gems are, which the program says.
pub(crate) fn foreign(place: &Place) -> Result<(), Failure> {
    tools::postgres(place)?;
    let python = Python::prepare(place, &FOREIGN)?;
    python.run(place, ["make.py", "--check"]).run()
}

/// Seals values of every type and suite with Rust and opens them with Python; makes terms and tokens with Rust and again with Python.
pub(crate) fn crosscheck(place: &Place) -> Result<(), Failure> {
    let python = Python::prepare(place, &REFERENCE)?;
    let folder = place.target.join("crosscheck");
    // What an earlier run left must not pass for what this one makes.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|e| Failure::new(format!("cannot remove {}: {e}", folder.display())))?;
    }
    place
        .cargo(["test", "--package", "amanat", "--locked", "--test", "crosscheck"])
        .env("AMANAT_CROSSCHECK_OUT", &folder)
        .run()?;
    for (command, file) in [("check-batch", "sealed.jsonl"), ("check-surrogates", "surrogates.jsonl")] {
        python.run(place, ["-m", "amanat_reference", command]).args([folder.join(file)]).run()?;
    }
    Ok(())
}

/// Makes the vectors anew and says which files differ from before.
pub(crate) fn remake_vectors(place: &Place) -> Result<(), Failure> {
    let vectors = place.root.join(VECTORS);
    let before = contents(&vectors)?;
    let python = Python::prepare(place, &REFERENCE)?;
    python.run(place, ["-m", "amanat_reference", "vectors"]).args([&vectors]).args(["--make"]).run()?;
    let after = contents(&vectors)?;
    let changed: Vec<&str> = before
        .iter()
        .filter(|file| !after.contains(file))
        .chain(after.iter().filter(|file| !before.contains(file)))
        .map(|(name, _)| name.as_str())
        .collect();
    if changed.is_empty() {
        println!("{} files, none changed", after.len());
    } else {
        let mut names = changed;
        names.sort_unstable();
        names.dedup();
        println!("changed, new or gone; each needs a reason in SPEC.md and CHANGELOG.md:");
        names.iter().for_each(|name| println!("  {VECTORS}/{name}"));
    }
    Ok(())
}

/// Names and bytes of the files of a folder.
fn contents(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?))
    };
    let files: std::io::Result<Vec<_>> =
        std::fs::read_dir(folder).and_then(|entries| entries.map(read).collect());
    files.map_err(|e| Failure::new(format!("cannot read {}: {e}", folder.display())))
}

/// An interpreter that has the packages of `requirements.txt`.
struct Python {
    interpreter: PathBuf,
    /// Folder that holds the packages: a virtual environment, or a plain one that goes to PYTHONPATH.
    folder: PathBuf,
    kind: Kind,
    kit: &'static Kit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Venv,
}

impl Python {
    fn prepare(place: &Place, kit: &'static Kit) -> Result<Self, Failure> {
        let system = match find(place) {
            Some(python) => python,
            None => {
                tools::debian_packages(
                    place,
                    &["python3", "python3-venv"],
                    "python3, version 3.9 or later,",
                )?;
                find(place)
                    .ok_or_else(|| Failure::new("python3 on PATH is older than 3.9; install a later one"))?
            }
        };
        let folder = place.target.join(format!("{}-venv", kit.packages));
        let venv = Self { interpreter: folder.join("bin/python"), folder, kind: Kind::Venv, kit };
        let folder = place.target.join(format!("{}-packages", kit.packages));
        let plain = Self { interpreter: system.into(), folder, kind: Kind::Folder, kit };
        if venv.is_ready(place) {
            return Ok(venv);
        }
        if plain.is_ready(place) {
            return Ok(plain);
        }
        let below = place.target.display();
        println!("installing the packages of {}/requirements.txt below {below}", kit.folder);
        if venv.make(place, system).and_then(|()| venv.install(place)).is_ok() {
            return Ok(venv);
        }
        println!("that failed; installing in a plain folder instead");
        if plain.install(place).is_ok() {
            return Ok(plain);
        }
        tools::debian_packages(place, &["python3-venv"], "the Python module venv")?;
        venv.make(place, system)?;
        venv.install(place).map(|()| venv)
    }

    /// A command of this interpreter that runs in the folder of the programs.
    fn run<const N: usize>(&self, place: &Place, args: [&str; N]) -> Run {
        let run = place.program(&self.interpreter).folder(&place.root.join(self.kit.folder)).args(args);
        let run = run.env("PYTHONDONTWRITEBYTECODE", "1");
        match self.kind {
            Kind::Folder => run.env("PYTHONPATH", &self.folder),
            Kind::Venv => run,
        }
    }

    /// Whether the packages of the present `requirements.txt` were installed completely.
    fn is_ready(&self, place: &Place) -> bool {
        let read = |path: PathBuf| std::fs::read(path).ok();
        let installed = read(self.folder.join("requirements.txt"));
        installed.is_some()
            && installed == read(place.root.join(self.kit.folder).join("requirements.txt"))
            && self.run(place, ["-c", self.kit.probe]).output().is_some()
    }

    fn make(&self, place: &Place, system: &str) -> Result<(), Failure> {
        place.program(system).args(["-m", "venv", "--clear"]).args([&self.folder]).run()
    }

    /// Installs the packages, then keeps a copy of the list as the sign that it was done.
    fn install(&self, place: &Place) -> Result<(), Failure> {
        let requirements = place.root.join(self.kit.folder).join("requirements.txt");
        let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--upgrade", "-r"];
        let install = self.run(place, pip).args([&requirements]);
        match self.kind {
            Kind::Folder => install.args(["--target".as_ref(), self.folder.as_os_str()]).run()?,
            Kind::Venv => install.run()?,
        }
        let copied = std::fs::copy(&requirements, self.folder.join("requirements.txt"));
        copied
            .map(|_| ())
            .map_err(|e| Failure::new(format!("cannot write in {}: {e}", self.folder.display())))
    }
}

/// The first interpreter on PATH that is new enough.
fn find(place: &Place) -> Option<&'static str> {
    let check = "import sys; assert sys.version_info >= (3, 9)";
    let fits = |name: &&str| place.program(name).args(["-c", check]).output().is_some();
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"].into_iter().find(fits)
}
