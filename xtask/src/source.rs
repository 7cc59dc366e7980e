use std::{
    fs,
    path::{Path, PathBuf},
};

/// One Rust file of the repository.
pub(crate) struct SourceFile {
    /// From the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl SourceFile {
    /// Tells whether the whole file is tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = |name: &str| self.path.components().any(|part| part.as_os_str() == name);
        name("tests") || name("tests.rs") || name("benches") || name("conformance.rs")
    }

    /// Returns the lines of code and those of tests, blank ones included.
    pub(crate) fn lines(&self) -> (usize, usize) {
        let all = self.text.lines().count();
        if self.is_test() {
            return (0, all);
        }
        // Tests come last in a file.
        let mut lines = self.text.lines().peekable();
        let mut code = 0;
        while let Some(line) = lines.next() {
            let module = lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            if line == "#[cfg(test)]" && module {
                return (code, all - code);
            }
            code += 1;
        }
        (code, 0)
    }
}

/// Returns every Rust file below `folders`, in order, without build output.
pub(crate) fn files(root: &Path, folders: &[&str]) -> Result<Vec<SourceFile>, String> {
    let mut files = Vec::new();
    for folder in folders {
        visit(root, &root.join(folder), &mut files)?;
    }
    Ok(files)
}

fn visit(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<(), String> {
    let failed = |cause| format!("could not read {}: {cause}", folder.display());
    if !folder.is_dir() {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "target" {
                visit(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).map_err(|cause| format!("could not read {}: {cause}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> (usize, usize) {
        SourceFile { path: path.into(), text: text.into() }.lines()
    }

    #[test]
    fn tests_are_told_from_code() {
        assert_eq!(lines("a/src/lib.rs", "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), (2, 3));
        assert_eq!(lines("a/src/lib.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n"), (3, 0));
        assert_eq!(lines("a/src/b/tests.rs", "x\ny\n"), (0, 2));
        assert_eq!(lines("a/tests/it/main.rs", "x\n"), (0, 1));
    }
}
