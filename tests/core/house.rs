//! The house keeps its order: no file of `src/` grows too long, no two files need each other, and `unsafe` has one place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{Item, UseTree};

use crate::support;

/// The lines of a file, at most.
const MAX_LINES: usize = 450;

/// The lines of the one file that may be `unsafe`, at most.
const MAX_UNSAFE_LINES: usize = 40;

/// The library's files by their module, such as `trust::peer`.
fn files() -> BTreeMap<String, String> {
    fn collect(directory: &Path, module: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let name = if module.is_empty() { stem.to_owned() } else { format!("{module}::{stem}") };
            if path.is_dir() {
                collect(&path, &name, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(&support::top().join("src"), "", &mut files);
    files
}

/// The paths of a `use`, such as `crate::rejection::Flaw`.
fn paths(tree: &UseTree, before: &str, found: &mut Vec<String>) {
    let joined = |name: &dyn ToString| format!("{before}{}", name.to_string());
    match tree {
        UseTree::Path(path) => paths(&path.tree, &format!("{}::", joined(&path.ident)), found),
        UseTree::Name(name) => found.push(joined(&name.ident)),
        UseTree::Rename(rename) => found.push(joined(&rename.ident)),
        UseTree::Glob(_) => found.push(before.trim_end_matches(':').to_owned()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| paths(tree, before, found)),
    }
}

/// The files that a file imports from.
fn imports(module: &str, source: &str, files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = Vec::new();
    for item in syn::parse_file(source).unwrap().items {
        if let Item::Use(import) = item {
            paths(&import.tree, "", &mut found);
        }
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = found.iter().map(|path| match path.split_once("::") {
        Some(("crate", rest)) => rest.to_owned(),
        Some(("super", rest)) => format!("{parent}::{rest}").trim_start_matches(':').to_owned(),
        _ => format!("{module}::{path}"),
    });
    // The longest part of a path that is a file.
    let file = |path: String| {
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]).collect::<Vec<_>>();
        ends.into_iter().rev().find_map(|end| files.contains_key(&path[..end]).then(|| path[..end].to_owned()))
    };
    absolute.filter_map(file).filter(|other| other != module).collect()
}

#[test]
fn no_file_is_too_long() {
    for (module, source) in files() {
        let lines = source.lines().count();
        assert!(lines <= MAX_LINES, "{module} has {lines} lines: something in it wants to be named");
    }
}

#[test]
fn no_two_files_need_each_other() {
    let files = files();
    let graph: BTreeMap<_, _> =
        files.iter().map(|(module, source)| (module.as_str(), imports(module, source, &files))).collect();
    assert!(graph["policy"].contains("trust") && graph["trust::peer"].contains("request"), "the graph is read");
    for start in graph.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<_> = graph[start].iter().collect();
        while let Some(module) = next.pop() {
            assert!(module != start, "{start} imports what imports it");
            if reached.insert(module) {
                next.extend(&graph[module.as_str()]);
            }
        }
    }
}

/// Only `filter` knows the host, and what it calls by itself is in one small file.
#[test]
fn only_the_filter_names_the_host() {
    let naming = |mark: &str| -> Vec<String> {
        files().into_iter().filter(|(_, source)| source.contains(mark)).map(|(module, _)| module).collect()
    };
    assert_eq!(naming("proxy_wasm"), ["filter", "filter::foreign"]);
    assert_eq!(naming("unsafe "), ["filter::foreign"]);
    assert!(files()["filter::foreign"].lines().count() <= MAX_UNSAFE_LINES);
}
