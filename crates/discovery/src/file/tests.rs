use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::{
    BadRecord,
    conformance::{self, START, peer},
};

fn empty() -> (tempfile::TempDir, FileDirectory) {
    let dir = tempfile::tempdir().unwrap();
    let directory = FileDirectory::open(dir.path().join("peers")).unwrap();
    (dir, directory)
}

#[test]
fn conforms() {
    let mut kept = Vec::new();
    conformance::check(|| {
        let (dir, directory) = empty();
        kept.push(dir);
        directory
    });
}

#[test]
fn the_reference_s_own_file_is_read() {
    let (_dir, directory) = empty();
    let sample = r#"{"peer_id":"12D3KooWabc","runner_name":"local-reader","public_ip":null,"listen_port":9101,
        "multiaddr":"/ip4/127.0.0.1/tcp/9101/p2p/12D3KooWabc","last_seen":"2026-11-20T09:59:15.655157+00:00","metadata":{}}"#;
    fs::write(directory.path().join("peer_local-reader.json"), sample).unwrap();
    let now = Millis(1_795_168_756_000);
    let found = directory.discover(now).unwrap();
    assert_eq!(found.skipped, []);
    assert_eq!(found.peers[0].listen_port, 9101);
}

#[test]
fn a_file_has_the_reference_s_name_fields_and_order() {
    let (_dir, directory) = empty();
    directory.announce(&peer("abc", "local-reader"), Millis(1_795_168_755_655)).unwrap();
    let path = directory.path().join("peer_local-reader.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        r#"{
  "peer_id": "12D3KooWabc",
  "runner_name": "local-reader",
  "public_ip": null,
  "listen_port": 9100,
  "multiaddr": "/ip4/10.0.0.1/tcp/9100/p2p/12D3KooWabc",
  "last_seen": "2026-11-20T09:59:15.655000+00:00",
  "metadata": {}
}
"#
    );
}

#[test]
fn what_is_no_record_is_skipped_and_named() {
    let (dir, directory) = empty();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("peer_empty.json"), "").unwrap();
    fs::write(path("peer_half.json"), &peer("a", "a").to_json()[..40]).unwrap();
    fs::write(path("peer_large.json"), vec![b' '; usize::try_from(limits::RECORD_BYTES_MAX).unwrap() + 1]).unwrap();
    fs::write(path("peer_deep.json"), "[".repeat(60_000)).unwrap();
    fs::write(path("peer_bytes.json"), [0xff; 100]).unwrap();
    fs::create_dir(path("peer_folder.json")).unwrap();
    fs::write(dir.path().join("elsewhere"), peer("b", "b").to_json()).unwrap();
    symlink(dir.path().join("elsewhere"), path("peer_link.json")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("peer_pipe.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    fs::write(path("notes.txt"), "not ours").unwrap();
    directory.announce(&peer("good", "good"), START).unwrap();

    let found = directory.discover(START).unwrap();
    assert_eq!(found.peers.len(), 1);
    let named: Vec<_> = found.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    let all =
        ["bytes", "deep", "empty", "folder", "half", "large", "link", "pipe"].map(|name| format!("peer_{name}.json"));
    assert_eq!(named, all);
    assert_eq!(found.skipped[5].why, WhySkipped::TooLarge { bytes_max: 65536 });
    assert_eq!(found.skipped[6].why, WhySkipped::NotAFile);
    assert_eq!(found.skipped[7].why, WhySkipped::NotAFile);
    assert!(path("peer_half.json").exists(), "what is not understood is not removed");
}

#[test]
fn a_record_from_the_future_is_skipped() {
    let (_dir, directory) = empty();
    directory.announce(&peer("a", "a"), START).unwrap();
    let early = START.before(limits::AHEAD_MAX);
    assert_eq!(directory.discover(early).unwrap().peers.len(), 1);
    let earlier = Millis(early.0 - 1000);
    let skipped = directory.discover(earlier).unwrap().skipped;
    assert_eq!(skipped[0].to_string(), "\"peer_a.json\": was last seen 61 s ahead of this machine's clock");
}

#[test]
fn fields_have_limits() {
    let with = |change: fn(&mut PeerRecord)| {
        let mut record = peer("a", "a");
        change(&mut record);
        PeerRecord::from_json(&record.to_json()).unwrap_err()
    };
    assert_eq!(with(|record| record.peer_id = "../x".into()), BadRecord::PeerId);
    assert_eq!(with(|record| record.peer_id = "a".repeat(129)), BadRecord::PeerId);
    assert_eq!(with(|record| record.runner_name = "a".repeat(257)), BadRecord::RunnerName);
    assert_eq!(with(|record| record.multiaddr = "/".repeat(1025)), BadRecord::Multiaddr);
}

#[test]
fn more_files_than_the_limit_are_counted_not_read() {
    let (_dir, directory) = empty();
    for number in 0..limits::RECORDS_MAX + 3 {
        fs::write(directory.path().join(format!("peer_{number:05}.json")), "").unwrap();
    }
    let found = directory.discover(START).unwrap();
    assert_eq!(found.skipped.len(), limits::RECORDS_MAX + 1);
    assert_eq!(found.skipped.last().unwrap().why, WhySkipped::TooMany { more: 3, files_max: 1024 });
}

#[test]
fn nothing_but_records_is_left_behind() {
    let (_dir, directory) = empty();
    directory.announce(&peer("a", "a"), START).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_first_folder_that_works_is_taken_and_the_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (file, good) = (dir.path().join("a-file"), dir.path().join("good"));
    fs::write(&file, "").unwrap();
    let (directory, failed) = FileDirectory::open_first([file.join("peers"), good.clone()]).unwrap();
    assert_eq!(directory.path(), good);
    assert_eq!(failed.len(), 1);
    assert!(FileDirectory::open_first([file]).is_err());
}

#[test]
fn the_default_is_the_reference_s() {
    let paths = default_dirs(Some(Path::new("/home/u")));
    assert_eq!(paths, [Path::new("/home/u/.cache/p2p_peers"), Path::new("/tmp/ipfs_accelerate_p2p_peers")]);
}

#[test]
fn a_name_that_is_no_text_is_named_as_well_as_can_be() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (_dir, directory) = empty();
    fs::write(directory.path().join(OsStr::from_bytes(b"peer_\xff.json")), "").unwrap();
    assert_eq!(directory.discover(START).unwrap().skipped[0].name, "peer_\u{fffd}.json");
}
