use std::fs;
use std::os::unix::fs::symlink;

use super::super::files::load;
use super::*;

/// How long a change may take to be seen before a test gives up; well below the poll, so that a test
/// passes only if the hint came.
const SEEN_MAX: Duration = Duration::from_secs(15);

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn watcher(paths: &[PathBuf]) -> Watcher {
    let mut watcher = Watcher::new(paths);
    watcher.follow(&load(paths).expect("readable"));
    watcher
}

async fn expect_change(watcher: &mut Watcher, what: &str) {
    let change = timeout(SEEN_MAX, watcher.next_change()).await;
    assert_eq!(change, Ok(Change::Files), "{what}");
}

/// Nothing is reported while three bursts could have passed.
async fn expect_nothing(watcher: &mut Watcher, what: &str) {
    let change = timeout(3 * QUIET, watcher.next_change()).await;
    assert!(change.is_err(), "{what}: {change:?}");
}

#[tokio::test]
async fn a_write_a_replacement_and_a_removal_are_seen_once_each() {
    let root = directory();
    let file = root.path().join("a.yaml");
    fs::write(&file, "kind: A").expect("written");
    for paths in [[root.path().to_owned()], [file.clone()]] {
        let mut watcher = watcher(&paths);
        fs::write(&file, "kind: B").expect("written");
        expect_change(&mut watcher, "plain write").await;
        expect_nothing(&mut watcher, "the same state again").await;
        fs::write(root.path().join("new"), "kind: C").expect("written");
        fs::rename(root.path().join("new"), &file).expect("renamed");
        expect_change(&mut watcher, "rename and replace").await;
        fs::remove_file(&file).expect("removed");
        expect_change(&mut watcher, "removal").await;
        fs::write(&file, "kind: A").expect("written");
        expect_change(&mut watcher, "it is back").await;
    }
}

#[tokio::test]
async fn the_swap_of_a_mounted_config_map_is_seen() {
    let root = directory();
    let generation = |name: &str, kind: &str| {
        fs::create_dir(root.path().join(name)).expect("created");
        fs::write(root.path().join(name).join("a.yaml"), format!("kind: {kind}")).expect("written");
    };
    generation("..2024_01", "A");
    symlink("..2024_01", root.path().join("..data")).expect("linked");
    symlink("..data/a.yaml", root.path().join("a.yaml")).expect("linked");
    let paths = [root.path().to_owned()];
    let mut watcher = watcher(&paths);
    for (new, old, kind) in [("..2024_02", "..2024_01", "B"), ("..2024_03", "..2024_02", "C")] {
        generation(new, kind);
        symlink(new, root.path().join("..data_tmp")).expect("linked");
        fs::rename(root.path().join("..data_tmp"), root.path().join("..data")).expect("swapped");
        fs::remove_dir_all(root.path().join(old)).expect("removed");
        expect_change(&mut watcher, new).await;
        assert_eq!(load(&paths).expect("readable").documents[0].kind, kind);
    }
}

#[tokio::test]
async fn a_directory_replaced_as_a_whole_is_seen_and_watched_again() {
    let root = directory();
    let (one, two, link) =
        (root.path().join("one"), root.path().join("two"), root.path().join("current"));
    for (path, kind) in [(&one, "A"), (&two, "B")] {
        fs::create_dir(path).expect("created");
        fs::write(path.join("a.yaml"), format!("kind: {kind}")).expect("written");
    }
    symlink("one", &link).expect("linked");
    let mut watcher = watcher(std::slice::from_ref(&link));
    symlink("two", root.path().join("next")).expect("linked");
    fs::rename(root.path().join("next"), &link).expect("swapped");
    expect_change(&mut watcher, "the link").await;
    fs::write(two.join("a.yaml"), "kind: C").expect("written");
    expect_change(&mut watcher, "a file behind the new link").await;
    fs::remove_dir_all(&two).expect("removed");
    expect_change(&mut watcher, "the directory is gone").await;
    fs::create_dir(&two).expect("created");
    fs::write(two.join("a.yaml"), "kind: D").expect("written");
    expect_change(&mut watcher, "the directory is back").await;
}

#[tokio::test]
async fn a_file_that_documents_point_at_is_watched() {
    let (root, elsewhere) = (directory(), directory());
    let certificate = elsewhere.path().join("ca.pem");
    fs::write(&certificate, "one").expect("written");
    let paths = [root.path().to_owned()];
    let mut loaded = load(&paths).expect("readable");
    let name = certificate.to_string_lossy().into_owned();
    loaded.materials.insert(name.clone(), Ok(b"one".as_slice().into()));
    loaded.fingerprint = current_fingerprint(&paths, &[name]).expect("readable");
    let mut watcher = Watcher::new(&paths);
    watcher.follow(&loaded);
    expect_nothing(&mut watcher, "nothing changed").await;
    fs::write(&certificate, "two").expect("written");
    expect_change(&mut watcher, "the certificate").await;
}

#[tokio::test]
async fn asking_returns_without_any_change() {
    let root = directory();
    let mut watcher = watcher(&[root.path().to_owned()]);
    watcher.asker().ask();
    assert_eq!(timeout(SEEN_MAX, watcher.next_change()).await, Ok(Change::Asked));
}

#[tokio::test]
async fn other_files_of_the_directory_do_not_matter() {
    let root = directory();
    let file = root.path().join("a.yaml");
    fs::write(&file, "kind: A").expect("written");
    let mut watcher = watcher(&[file]);
    fs::write(root.path().join("b.yaml"), "kind: B").expect("written");
    expect_nothing(&mut watcher, "another file").await;
}

#[tokio::test]
async fn a_change_that_was_hinted_before_the_wait_was_dropped_is_not_lost() {
    let root = directory();
    let file = root.path().join("a.yaml");
    fs::write(&file, "kind: A").expect("written");
    let mut watcher = watcher(std::slice::from_ref(&file));
    fs::write(&file, "kind: B").expect("written");
    let hurried = timeout(QUIET / 10, watcher.next_change()).await;
    assert!(hurried.is_err(), "it waits for quiet first");
    expect_change(&mut watcher, "after dropping the first wait").await;
}
