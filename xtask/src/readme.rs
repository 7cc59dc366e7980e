/// Returns the first line in a code block of `readme` that runs the tests, without a prompt.
pub(crate) fn test_command(readme: &str) -> Option<&str> {
    let mut inside = false;
    for line in readme.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && line.contains("cargo xtask test") {
            return Some(line.strip_prefix("$ ").unwrap_or(line));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_a_line_of_a_code_block() {
        assert_eq!(
            test_command("Run cargo xtask test.\n```sh\ncd x\n$ cargo xtask test\n```"),
            Some("cargo xtask test")
        );
        assert_eq!(test_command("```\ncargo test\n```\nor cargo xtask test"), None);
        assert_eq!(test_command(""), None);
    }
}
