use std::{fs, os::unix::fs as unix, os::unix::fs::PermissionsExt, path::Path};

use store::{
    CacheDir, DirError, DiskConfig, DiskStore, FlushError, GetError, Space, Store,
    conformance::{assert_holds, body, key, record},
};
use wire::{Grave, Millis, Tombstone};

use crate::config;

const NOW: Millis = Millis::from_secs(1_700_000_000);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn filled(dir: &CacheDir) -> DiskStore {
    let (store, _) = dir.open_store(config(), NOW).unwrap();
    store.put(Space::Local, key(1, 1), record("kept", u64::MAX), Some(body("kept"))).unwrap();
    store.flush(NOW).unwrap();
    store
}

#[test]
fn the_directory_and_its_files_are_ours_alone_and_keep_what_was_put() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("deep/cache");
    let dir = CacheDir::prepare(&path).unwrap();
    drop(filled(&dir));
    assert_eq!((mode(&path), mode(&path.join("ghoard.redb"))), (0o700, 0o600));
    assert!(!path.join("ghoard.probe").exists());
    drop(dir);
    let dir = CacheDir::prepare(&path).unwrap();
    let (store, report) = dir.open_store(config(), NOW).unwrap();
    assert_eq!((report.is_new, report.entries, report.set_aside), (false, 1, None));
    assert_holds(&store, Space::Local, key(1, 1), "kept");
}

#[test]
fn a_second_daemon_is_told_who_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let _first = CacheDir::prepare(temp.path()).unwrap();
    let pid = std::process::id();
    for second in [CacheDir::prepare(temp.path()), CacheDir::prepare_or_fallback(temp.path()).map(|(dir, _)| dir)] {
        assert!(matches!(second, Err(DirError::InUse { pid: Some(p), .. }) if p == pid), "{second:?}");
    }
}

#[test]
fn symbolic_links_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (target, link) = (temp.path().join("target"), temp.path().join("link"));
    fs::create_dir(&target).unwrap();
    unix::symlink(&target, &link).unwrap();
    assert!(matches!(CacheDir::prepare(&link), Err(DirError::Symlink { .. })));
    // Nor is a link followed that lies in wait inside.
    unix::symlink(temp.path().join("victim"), target.join("ghoard.redb")).unwrap();
    assert!(CacheDir::prepare(&target).unwrap().open_store(config(), NOW).is_err());
    assert!(!temp.path().join("victim").exists());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(CacheDir::prepare(temp.path()), Err(DirError::OpenToOthers { .. })));
}

#[test]
fn where_nothing_can_be_written_a_private_temporary_directory_serves() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    // The kernel refuses these to root as well.
    for wanted in [file.clone(), file.join("cache"), "/proc/ghoard".into()] {
        let (dir, degraded) = CacheDir::prepare_or_fallback(&wanted).unwrap();
        let degraded = degraded.expect("it is said");
        assert_eq!((&degraded.wanted, degraded.using.as_path()), (&wanted, dir.path()));
        assert_eq!(mode(dir.path()), 0o700);
        assert_holds(&filled(&dir), Space::Local, key(1, 1), "kept");
        drop(dir);
        assert!(!degraded.using.exists());
    }
    assert!(matches!(CacheDir::prepare(&file), Err(DirError::NotADirectory { .. })));
}

#[test]
fn a_corrupt_database_is_set_aside_and_named() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("cache");
    let dir = CacheDir::prepare(&path).unwrap();
    drop(filled(&dir));
    let database = path.join("ghoard.redb");
    let whole = fs::read(&database).unwrap();
    let mut torn = whole.clone();
    torn[..512].fill(0xa5);
    let mut cut = whole.clone();
    cut.truncate(whole.len() / 2);
    let mut header_only = whole.clone();
    header_only[4096..].fill(0);
    let zeros = vec![0; whole.len()];
    for (n, content) in [b"not a database".to_vec(), torn, cut, header_only, zeros].into_iter().enumerate() {
        fs::write(&database, &content).unwrap();
        let now = Millis::from_secs(NOW.as_secs() + n as u64);
        let (store, report) = dir.open_store(config(), now).unwrap_or_else(|error| panic!("case {n}: {error:?}"));
        let aside = report.set_aside.unwrap_or_else(|| panic!("case {n} opened"));
        assert_eq!(aside.path, path.join(format!("ghoard.redb.corrupt-{}", now.as_secs())));
        assert_eq!(fs::read(&aside.path).unwrap().len(), content.len(), "case {n}: {}", aside.why);
        assert_eq!(store.stats().set_aside.unwrap().path, aside.path);
        assert!(report.is_new && store.get(Space::Local, &key(1, 1)).unwrap().is_none());
    }
    let kept =
        fs::read_dir(&path).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("corrupt"));
    assert_eq!(kept.count(), store::limits::SET_ASIDE_FILES_MAX);
}

#[test]
fn a_page_that_is_found_damaged_while_running_sets_the_database_aside() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("cache");
    let dir = CacheDir::prepare(&path).unwrap();
    let tombstone = Tombstone { of: Grave::Everything, date_secs: 7 };
    drop(filled(&dir));
    // Nothing may be left to read in memory.
    let (store, _) = dir.open_store(DiskConfig { page_cache_bytes: 0, ..config() }, NOW).unwrap();
    store.bury(tombstone, NOW).unwrap();
    store.flush(NOW).unwrap();
    let database = path.join("ghoard.redb");
    let mut content = fs::read(&database).unwrap();
    let etags: Vec<_> = (0..content.len() - 6).filter(|at| content[*at..].starts_with(b"\"kept\"")).collect();
    for at in etags {
        // The kind of the page, its first byte: a kind that there is none of.
        content[at & !4095] ^= 0x40;
    }
    fs::write(&database, &content).unwrap();

    let local_key = store.local_key();
    assert!(matches!(store.get(Space::Local, &key(1, 1)), Err(GetError::Inconsistent { .. })));
    store.put(Space::Local, key(1, 2), record("new", u64::MAX), Some(body("new"))).unwrap();
    let Err(FlushError::SetAside(aside)) = store.flush(NOW) else { panic!("the damage went unnoticed") };
    assert_eq!(fs::read(&aside.path).unwrap().len(), content.len(), "{}", aside.why);
    assert_eq!(store.stats().set_aside, Some(aside));

    assert_eq!(store.get(Space::Local, &key(1, 1)).unwrap(), None);
    assert_eq!(store.flush(NOW).unwrap().committed, 1);
    assert_eq!(store.stats().degraded, None);
    drop(store);
    let (store, report) = dir.open_store(config(), NOW).unwrap();
    assert_eq!((report.set_aside, report.entries, store.local_key()), (None, 1, local_key));
    assert_holds(&store, Space::Local, key(1, 2), "new");
    assert_eq!(store.tombstones(), [(tombstone, NOW)]);
}
