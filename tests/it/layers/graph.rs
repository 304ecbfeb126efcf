//! Which file of a crate uses which other file of it, read from its sources.
//!
//! A name that a file takes from a module counts as a use of the file that defines it, wherever it is re-exported. Code
//! under `cfg(test)` does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

use crate::rig::files;

/// The path of a module or an item in its crate, without `crate`.
pub type ItemPath = Vec<String>;

/// The files of a crate as modules, and the uses between them.
pub struct Graph {
    /// For each module the modules it uses.
    pub uses: BTreeMap<ItemPath, BTreeSet<ItemPath>>,
}

impl Graph {
    /// Reads every Rust file in the source folder of a crate.
    pub fn read(source: &Path) -> Self {
        let modules: BTreeMap<_, _> = files(source)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                (module_of(path.strip_prefix(source).unwrap()), Module::of(&parsed))
            })
            .collect();
        let tests: BTreeSet<_> = modules.iter().flat_map(|(path, module)| module.test_modules(path)).collect();
        let is_test = |path: &ItemPath| tests.iter().any(|test| path.starts_with(test));
        let crate_files = Crate { modules: &modules };
        let uses = modules.keys().filter(|path| !is_test(path)).map(|path| (path.clone(), crate_files.used_by(path)));
        let mut uses: BTreeMap<_, BTreeSet<_>> = uses.collect();
        for (definition, part) in crate_files.split_types() {
            uses.entry(definition).or_default().insert(part);
        }
        Self { uses }
    }

    /// The circles: sets of modules of which each reaches every other one. Each is sorted; modules alone are left out.
    pub fn circles(&self) -> Vec<BTreeSet<ItemPath>> {
        let reached: BTreeMap<_, _> = self.uses.keys().map(|module| (module, self.reached_from(module))).collect();
        let circle = |module: &ItemPath| -> BTreeSet<ItemPath> {
            reached[module]
                .iter()
                .filter(|other| reached.get(other).is_some_and(|back| back.contains(module)))
                .cloned()
                .collect()
        };
        let found: BTreeSet<_> = self.uses.keys().map(circle).filter(|circle| circle.len() > 1).collect();
        found.into_iter().collect()
    }

    fn reached_from(&self, module: &ItemPath) -> BTreeSet<ItemPath> {
        let mut reached = BTreeSet::new();
        let mut open = vec![module];
        while let Some(next) = open.pop() {
            for used in self.uses.get(next).into_iter().flatten() {
                if reached.insert(used.clone()) {
                    open.push(used);
                }
            }
        }
        reached
    }
}

fn module_of(file: &Path) -> ItemPath {
    let mut path: ItemPath = file.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    let name = path.pop().unwrap();
    let name = name.strip_suffix(".rs").unwrap();
    if !matches!(name, "mod" | "lib" | "main") {
        path.push(name.to_owned());
    }
    path
}

/// What one file says.
#[derive(Default)]
struct Module {
    /// Names that `use` brings into scope, each with its path as written. A glob has the name `*`.
    imports: Vec<Import>,
    /// Paths in the code, as written.
    paths: BTreeSet<Vec<String>>,
    /// Modules that the file declares under `cfg(test)`.
    tests: BTreeSet<String>,
    /// Types that have an inherent `impl` in this file.
    implemented: BTreeSet<String>,
}

struct Import {
    name: String,
    path: Vec<String>,
    is_reexport: bool,
}

impl Module {
    fn of(file: &syn::File) -> Self {
        let mut module = Self::default();
        module.visit_file(file);
        module
    }

    fn test_modules<'a>(&'a self, path: &'a ItemPath) -> impl Iterator<Item = ItemPath> + 'a {
        self.tests.iter().map(move |name| [&path[..], std::slice::from_ref(name)].concat())
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], is_reexport: bool) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            syn::UseTree::Path(path) => self.import(&path.tree, &with(path.ident.to_string()), is_reexport),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let name = before.last().cloned().unwrap_or_default();
                self.imports.push(Import { name, path: before.to_vec(), is_reexport });
            }
            syn::UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.imports.push(Import { path: with(name.clone()), name, is_reexport });
            }
            syn::UseTree::Rename(rename) => {
                let path = with(rename.ident.to_string());
                self.imports.push(Import { name: rename.rename.to_string(), path, is_reexport });
            }
            syn::UseTree::Glob(_) => {
                self.imports.push(Import { name: "*".to_owned(), path: before.to_vec(), is_reexport });
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, is_reexport);
                }
            }
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_for_tests(&item.attrs) {
            self.tests.insert(item.ident.to_string());
        } else {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.import(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if is_for_tests(&item.attrs) {
            return;
        }
        if let (None, syn::Type::Path(of)) = (&item.trait_, &*item.self_ty)
            && let Some(name) = of.path.get_ident().or_else(|| of.path.segments.last().map(|segment| &segment.ident))
        {
            self.implemented.insert(name.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        visit::visit_macro(self, item);
        // A macro has tokens only; a path in them reads `a::b`, which begins with a known word where it is of this crate.
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character))) {
            let parts: Vec<_> = word.split("::").map(str::to_owned).collect();
            if parts.len() > 1 && parts.iter().all(|part| !part.is_empty()) {
                self.paths.insert(parts);
            }
        }
    }
}

struct Crate<'a> {
    modules: &'a BTreeMap<ItemPath, Module>,
}

impl Crate<'_> {
    /// The modules that a module uses, without itself.
    fn used_by(&self, path: &ItemPath) -> BTreeSet<ItemPath> {
        let module = &self.modules[path];
        let imported = module.imports.iter().filter(|import| !import.is_reexport).map(|import| import.path.clone());
        let written = module.paths.iter().filter(|written| written.len() > 1).map(|written| {
            let import = module.imports.iter().find(|import| import.name == written[0]);
            import.map_or_else(|| written.clone(), |import| [&import.path[..], &written[1..]].concat())
        });
        let used = imported.chain(written).filter_map(|used| self.absolute(path, &used));
        used.filter_map(|used| self.definition(&used)).filter(|used| used != path).collect()
    }

    /// A path as written in a module as a path from the root of the crate; `None` for another crate's.
    fn absolute(&self, module: &ItemPath, written: &[String]) -> Option<ItemPath> {
        let mut base = module.clone();
        let mut rest = written;
        match written.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            name => {
                let child = [&module[..], &[name.to_owned()]].concat();
                if !self.modules.contains_key(&child) {
                    return None;
                }
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module that defines what a path names; `None` where the path names a module itself.
    fn definition(&self, path: &[String]) -> Option<ItemPath> {
        let deepest = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, item) = path.split_at(deepest);
        let item = item.first()?;
        let reexport = self.modules[module].imports.iter().find(|import| import.is_reexport && import.name == *item);
        match reexport.and_then(|import| self.absolute(&module.to_vec(), &import.path)) {
            Some(target) if target != path => self.definition(&target),
            _ => Some(module.to_vec()),
        }
    }

    /// For each type whose inherent methods are spread over files: the file that defines it, and another that adds methods.
    ///
    /// A call of such a method names no file, so the definition counts as using each of them.
    fn split_types(&self) -> Vec<(ItemPath, ItemPath)> {
        let mut found = Vec::new();
        for (path, module) in self.modules {
            for name in &module.implemented {
                let import = module.imports.iter().find(|import| import.name == *name);
                let definition = import
                    .and_then(|import| self.absolute(path, &import.path))
                    .and_then(|target| self.definition(&target));
                if let Some(definition) = definition.filter(|definition| definition != path) {
                    found.push((definition, path.clone()));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Graph::read(folder.path())
    }

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let joined = |circle: BTreeSet<ItemPath>| {
            circle.into_iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" ")
        };
        graph(files).circles().into_iter().map(joined).collect()
    }

    #[test]
    fn a_reexport_leads_to_the_file_that_defines_the_name() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod x; mod y; pub use x::X; use y::helper; fn f() { helper() }"),
            ("a/x.rs", "pub struct X;"),
            ("a/y.rs", "use super::X; pub fn helper() {}"),
            ("b.rs", "use crate::a::X;"),
        ];
        assert_eq!(graph(&files).uses[&vec!["b".to_owned()]], BTreeSet::from([vec!["a".to_owned(), "x".to_owned()]]));
        assert_eq!(circles(&files), Vec::<String>::new());
    }

    #[test]
    fn a_circle_is_found_through_imports_paths_macros_and_split_types() {
        for back in ["use crate::a::A;", "fn f() { crate::a::A::new() }", "fn f() { println!(\"{}\", crate::a::A) }"] {
            let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", back)];
            assert_eq!(circles(&files), ["a b"], "{back}");
        }
        let split =
            [("lib.rs", "mod a; mod b;"), ("a.rs", "pub struct A;"), ("b.rs", "use crate::a::A; impl A { fn f() {} }")];
        assert_eq!(circles(&split), ["a b"]);
    }

    #[test]
    fn tests_do_not_count() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("b.rs", "use crate::a::A; pub struct B; #[cfg(test)] mod tests;"),
            ("b/tests.rs", "use crate::a::A;"),
        ];
        assert_eq!(circles(&files), Vec::<String>::new());
    }
}
