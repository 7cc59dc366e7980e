use proptest::prelude::*;

use super::*;

#[test]
fn the_reference_s_own_sample_is_read_and_written() {
    let time = parse("2026-11-20T09:59:15.655157+00:00").unwrap();
    assert_eq!(time, Millis(1_795_168_755_655));
    assert_eq!(format(time), "2026-11-20T09:59:15.655000+00:00");
}

#[test]
fn python_leaves_out_a_fraction_of_zero() {
    assert_eq!(parse("1970-01-01T00:00:01+00:00"), Ok(Millis(1000)));
}

#[test]
fn offsets_count() {
    let utc = parse("2024-02-29T12:00:00Z");
    assert_eq!(parse("2024-02-29T14:30:00+02:30"), utc);
    assert_eq!(parse("2024-02-29T04:00:00-08:00"), utc);
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "now",
        "2026-11-20",
        "2026-11-20T09:59:15.655157",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "2026-11-20T09:59:15.Z",
        "2026-11-20T09:59:15+0000",
        "２026-11-20T09:59:15Z",
    ] {
        assert_eq!(parse(text), Err(ParseTimeError), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(millis in 0..253_402_300_800_000_u64) {
        prop_assert_eq!(parse(&format(Millis(millis))), Ok(Millis(millis)));
    }

    #[test]
    fn hostile_text_gives_an_error_never_a_panic(text in "\\PC{0,40}") {
        let _ = parse(&text);
    }
}
