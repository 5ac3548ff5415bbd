//! Reads configuration files and directories, and the certificates and keys that documents point at.
//!
//! Reads once; noticing changes is `watch`. Blocks on the file system: never call it from a worker.

use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::document::{self, TEXT_BYTES_MAX};
use crate::config::problem::{Place, Problem, Severity};
use crate::config::provenance::Object;
use crate::config::{Document, Materials, referenced_files};

/// Files that are read of one directory.
const FILES_MAX: usize = 10_000;

/// Bytes of all configuration files together.
const TOTAL_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of one certificate, key or CA bundle; the web's roots are a quarter of one MiB.
const MATERIAL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a file that are hashed at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Everything that was read, at one moment.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every document, in the order of paths, file names and lines.
    pub documents: Vec<Document>,
    /// The files that documents point at.
    pub materials: Materials,
    /// What could not be read; the rest is here.
    pub problems: Vec<Problem>,
    /// Equal when every file's name and content are equal.
    pub fingerprint: u64,
}

/// The configuration cannot be read as a whole, so whatever was in force should stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The path as it was given.
    pub path: PathBuf,
    /// Why, in the operating system's words.
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// Reads all paths: files, and directories whose `*.yaml`, `*.yml` and `*.json` are read in name order.
///
/// Errors: a path itself that cannot be read. One bad file inside a directory is only a problem.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Unreadable> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let mut hasher = DefaultHasher::new();
    each_file(paths, read_text, |path, read| {
        let (digest, text) = match read {
            Ok((digest, text)) => (Ok(digest), text),
            Err(refusal) => (Err(refusal.clone()), Err(refusal)),
        };
        (&path, digest).hash(&mut hasher);
        match text {
            Ok(text) => {
                let (mut parsed, mut faults) = document::parse(&path.to_string_lossy(), &text);
                documents.append(&mut parsed);
                problems.append(&mut faults);
            }
            Err(refusal) => problems.push(refusal.problem(&path)),
        }
    })?;
    let materials = read_materials(referenced_files(&documents));
    let fingerprint = fingerprint(hasher, &materials);
    Ok(Loaded { documents, materials, problems, fingerprint })
}

/// The fingerprint that `load` would give, were the documents to point at these materials.
///
/// Reads every file piece by piece, and holds and parses none.
pub(super) fn current_fingerprint(
    paths: &[PathBuf],
    materials: &[String],
) -> Result<u64, Unreadable> {
    let mut hasher = DefaultHasher::new();
    each_file(paths, digest, |path, digest| (path, digest).hash(&mut hasher))?;
    Ok(fingerprint(hasher, &read_materials(materials.to_vec())))
}

/// That of the files that were hashed, and of what they point at.
fn fingerprint(mut files: DefaultHasher, materials: &Materials) -> u64 {
    let mut named: Vec<_> = materials.iter().collect();
    named.sort();
    named.hash(&mut files);
    files.finish()
}

/// Why one file's text is not there.
#[derive(Debug, Clone, Hash)]
struct Refusal {
    code: &'static str,
    message: String,
    fix: &'static str,
}

impl Refusal {
    fn problem(&self, path: &Path) -> Problem {
        Problem {
            code: self.code,
            severity: Severity::Error,
            place: Place { file: path.to_string_lossy().into(), line: 1, column: 1 },
            object: Arc::new(Object { name: "file".into(), ..Object::default() }),
            field: String::new(),
            message: self.message.clone(),
            fix: self.fix.into(),
        }
    }
}

/// Takes one file after the other as `read` gives it, which gets the path and how many bytes are left.
fn each_file<T>(
    paths: &[PathBuf],
    read: impl Fn(&Path, &mut usize) -> Result<T, Refusal>,
    mut take: impl FnMut(PathBuf, Result<T, Refusal>),
) -> Result<(), Unreadable> {
    let mut bytes_left = TOTAL_BYTES_MAX;
    for path in paths {
        let unreadable =
            |error: std::io::Error| Unreadable { path: path.clone(), reason: error.to_string() };
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            let names = directory(path).map_err(unreadable)?;
            for (index, name) in names.into_iter().enumerate() {
                let outcome = if index < FILES_MAX {
                    read(&name, &mut bytes_left)
                } else {
                    Err(too_many_files())
                };
                take(name, outcome);
                if index == FILES_MAX {
                    break;
                }
            }
        } else {
            let outcome = read(path, &mut bytes_left);
            if let Err(Refusal { code: "EG092", message, .. }) = outcome {
                return Err(Unreadable { path: path.clone(), reason: message });
            }
            take(path.clone(), outcome);
        }
    }
    Ok(())
}

/// The configuration files of a directory in name order. Hidden ones are skipped: a mounted ConfigMap
/// keeps its generations in `..data` and `..2024_...` and links each file to the current one.
fn directory(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.path();
        let hidden = name.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = name.extension().and_then(|extension| extension.to_str());
        if !hidden && matches!(extension, Some("yaml" | "yml" | "json")) && !name.is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn too_many_files() -> Refusal {
    Refusal {
        code: "EG085",
        message: format!(
            "the directory has more than {FILES_MAX} files; this one and those after it are not read"
        ),
        fix: "put several objects into one file",
    }
}

/// The digest of a file's content, and the text if it is one.
fn read_text(
    path: &Path,
    bytes_left: &mut usize,
) -> Result<(u64, Result<String, Refusal>), Refusal> {
    let bytes = read_bytes(path, TEXT_BYTES_MAX.min(*bytes_left)).map_err(ReadFailure::refusal)?;
    *bytes_left -= bytes.len();
    let mut digest = DefaultHasher::new();
    bytes.chunks(PIECE_BYTES).for_each(|piece| digest.write(piece));
    let text = String::from_utf8(bytes).map_err(|error| Refusal {
        code: "EG080",
        message: format!(
            "byte {} is not UTF-8; the file is not read",
            error.utf8_error().valid_up_to()
        ),
        fix: "save the file as UTF-8",
    });
    Ok((digest.finish(), text))
}

/// The digest that `read_text` gives, of a file that is not held.
fn digest(path: &Path, bytes_left: &mut usize) -> Result<u64, Refusal> {
    let limit = TEXT_BYTES_MAX.min(*bytes_left);
    let failed = |error: std::io::Error| ReadFailure::Failed(error.to_string()).refusal();
    let mut file = open(path).map_err(ReadFailure::refusal)?;
    let (mut digest, mut piece, mut length) = (DefaultHasher::new(), Vec::new(), 0);
    loop {
        piece.clear();
        file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(failed)?;
        length += piece.len();
        if length > limit {
            return Err(ReadFailure::TooLong(limit).refusal());
        }
        if piece.is_empty() {
            break;
        }
        digest.write(&piece);
    }
    *bytes_left -= length;
    Ok(digest.finish())
}

fn read_materials(names: Vec<String>) -> Materials {
    let read = |name: String| {
        let content = read_material(&name);
        (name, content)
    };
    names.into_iter().map(read).collect()
}

fn read_material(name: &str) -> Result<Arc<[u8]>, String> {
    let failure = match read_bytes(Path::new(name), MATERIAL_BYTES_MAX) {
        Ok(bytes) => return Ok(bytes.into()),
        Err(ReadFailure::TooLong(limit)) => format!("longer than {limit} bytes"),
        Err(ReadFailure::Failed(reason)) => reason,
    };
    match (Path::new(name).is_absolute(), std::env::current_dir()) {
        (false, Ok(directory)) => Err(format!(
            "{failure} (the path is relative to the working directory, {}; write an absolute path)",
            directory.display()
        )),
        _ => Err(failure),
    }
}

enum ReadFailure {
    TooLong(usize),
    Failed(String),
}

impl ReadFailure {
    /// The same of a configuration file.
    fn refusal(self) -> Refusal {
        match self {
            Self::TooLong(_) => Refusal {
                code: "EG085",
                message: format!(
                    "the file is longer than {TEXT_BYTES_MAX} bytes, or all files together than {TOTAL_BYTES_MAX}; it is not read"
                ),
                fix: "split the configuration",
            },
            Self::Failed(reason) => Refusal {
                code: "EG092",
                message: format!("cannot be read: {reason}"),
                fix: "check the path and its permissions",
            },
        }
    }
}

fn read_bytes(path: &Path, limit: usize) -> Result<Vec<u8>, ReadFailure> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ReadFailure::Failed(error.to_string()))?;
    if bytes.len() > limit { Err(ReadFailure::TooLong(limit)) } else { Ok(bytes) }
}

fn open(path: &Path) -> Result<fs::File, ReadFailure> {
    let failed = |error: std::io::Error| ReadFailure::Failed(error.to_string());
    // Opening a pipe would wait for a writer, and a device might never end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadFailure::Failed("not a regular file".to_owned()));
    }
    fs::File::open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_in_name_order_without_what_is_hidden_or_something_else() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for name in ["b.yml", "a.yaml", "c.json", ".hidden.yaml", "notes.txt", "a.yaml~"] {
            fs::write(root.path().join(name), format!("{{kind: K, metadata: {{name: {name:?}}}}}"))
                .expect("written");
        }
        fs::create_dir(root.path().join("d.yaml")).expect("a directory");
        let single = root.path().join("notes.txt");
        let loaded = load(&[root.path().to_owned(), single]).expect("readable");
        let names: Vec<&str> =
            loaded.documents.iter().map(|document| document.name.as_str()).collect();
        assert_eq!(
            names,
            ["a.yaml", "b.yml", "c.json", "notes.txt"],
            "a file that is named is read whatever its name"
        );
        assert_eq!(loaded.problems, []);
    }

    #[test]
    fn one_bad_file_of_a_directory_is_a_problem_and_the_others_are_read() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::write(root.path().join("a.yaml"), b"\xff\xfe").expect("written");
        fs::write(root.path().join("b.yaml"), "kind: K").expect("written");
        std::os::unix::fs::symlink("nowhere", root.path().join("c.yaml")).expect("linked");
        let loaded = load(&[root.path().to_owned()]).expect("readable");
        assert_eq!(loaded.documents.len(), 1);
        let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["EG080", "EG092"]);
    }

    #[test]
    fn a_path_that_is_named_but_not_there_is_unreadable_as_a_whole() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::write(root.path().join("a.yaml"), "kind: K").expect("written");
        let absent = root.path().join("absent.yaml");
        let failure = load(&[root.path().to_owned(), absent.clone()]).expect_err("absent");
        assert_eq!(failure.path, absent);
        assert!(failure.to_string().contains("No such file"), "{failure}");
        assert!(
            load(&["/dev/null".into()])
                .expect_err("a device")
                .reason
                .contains("not a regular file")
        );
    }

    #[test]
    fn the_fingerprint_follows_names_and_content() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let paths = [root.path().to_owned()];
        let print = || load(&paths).expect("readable").fingerprint;
        let empty = print();
        fs::write(root.path().join("a.yaml"), "kind: K").expect("written");
        let one = print();
        fs::write(root.path().join("a.yaml"), "kind: L").expect("written");
        let other = print();
        fs::rename(root.path().join("a.yaml"), root.path().join("b.yaml")).expect("renamed");
        let renamed = print();
        fs::write(root.path().join("b.yaml"), "kind: L").expect("written");
        assert!(empty != one && one != other && other != renamed);
        assert_eq!(renamed, print(), "the same content");
        assert_eq!(current_fingerprint(&paths, &[]), Ok(renamed));
    }

    #[test]
    fn the_fingerprint_is_the_same_whether_files_are_held_or_not() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let paths = [root.path().to_owned()];
        std::os::unix::fs::symlink("nowhere", root.path().join("b.yaml")).expect("linked");
        let long = |pieces: usize, more: usize| vec![b'#'; pieces * PIECE_BYTES + more];
        for content in [long(0, 0), long(1, 0), long(2, 1), b"\xff\xfe".to_vec()] {
            fs::write(root.path().join("a.yaml"), &content).expect("written");
            let loaded = load(&paths).expect("readable").fingerprint;
            assert_eq!(current_fingerprint(&paths, &[]), Ok(loaded), "{} bytes", content.len());
        }
    }

    #[test]
    fn a_material_that_cannot_be_read_says_what_its_path_is_relative_to() {
        let materials =
            read_materials(vec!["/nowhere/ca.pem".to_owned(), "nowhere/ca.pem".to_owned()]);
        let why = |name: &str| materials[name].clone().expect_err("absent");
        assert!(!why("/nowhere/ca.pem").contains("working directory"));
        assert!(
            why("nowhere/ca.pem").contains("write an absolute path"),
            "{}",
            why("nowhere/ca.pem")
        );
    }
}
