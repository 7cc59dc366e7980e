use super::*;

fn edited(before: &str) -> String {
    String::from_utf8(with_socket(Some(before.as_bytes()), Path::new("/run/g.sock")).unwrap()).unwrap()
}

#[test]
fn undo_gives_back_every_byte() {
    for before in [
        "",
        "git_protocol: https\n",
        "git_protocol: https",
        "git_protocol: https\r\neditor:\r\n",
        "# none\nhttp_unix_socket:\nbrowser: x\n",
        "http_unix_socket: /old # why",
        "http_unix_socket:   '/old'\r\nx: y\r\n",
        "\"http_unix_socket\": /old\n",
        "aliases:\n    co: pr checkout\n    http_unix_socket: not ours\n\n\n",
    ] {
        let after = edited(before);
        assert!(after.contains("\nhttp_unix_socket: /run/g.sock"), "{after}");
        assert_eq!(edited(&after), after, "twice is once");
        assert_eq!(without_socket(after.as_bytes()), Undone::Write(before.into()), "{after}");
    }
}

#[test]
fn a_file_that_setup_made_goes_away() {
    let made = with_socket(None, Path::new("/run/g.sock")).unwrap();
    assert_eq!(without_socket(&made), Undone::Remove);
    let grown = [&made[..], b"editor: vi\n"].concat();
    assert_eq!(without_socket(&grown), Undone::Write(b"editor: vi\n".to_vec()));
}

#[test]
fn another_socket_replaces_ours_and_keeps_what_was_before() {
    let first = edited("http_unix_socket: /old\n");
    let second = with_socket(Some(first.as_bytes()), Path::new("/other")).unwrap();
    assert_eq!(without_socket(&second), Undone::Write(b"http_unix_socket: /old\n".to_vec()));
}

#[test]
fn what_was_changed_since_stays() {
    let after = edited("a: b") + "c: d\n";
    assert_eq!(without_socket(after.as_bytes()), Undone::Write(b"a: b\nc: d\n".to_vec()));
}

#[test]
fn nothing_of_ours_is_nothing_to_undo() {
    assert_eq!(without_socket(b"http_unix_socket: /mine\n"), Undone::Nothing);
    assert_eq!(without_socket(&[0xff]), Undone::Nothing);
}

#[test]
fn what_cannot_be_edited_line_by_line_is_refused() {
    for config in
        ["{}\n", "{git_protocol: ssh}", "a: b\n---\n", "http_unix_socket: |\n  /x\n", "http_unix_socket:\n  /x\n"]
    {
        assert_eq!(with_socket(Some(config.as_bytes()), Path::new("/s")), Err(CannotEdit::NotPlain), "{config}");
    }
}

#[test]
fn a_path_is_quoted_where_yaml_needs_it() {
    assert_eq!(yaml_text("/run/user/0/ghoard.sock"), "/run/user/0/ghoard.sock");
    assert_eq!(yaml_text("/a b: #c\"d"), "\"/a b: #c\\\"d\"");
}
