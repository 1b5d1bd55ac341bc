//! `docs/operators.md` is what the documentation of the operators says, and every operator's
//! documentation says all of it.
//!
//! After a change, `UPDATE_DOCS=1 cargo test -p aqueduct-operators --test vocabulary` writes the
//! page anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, ReturnType, Token, Type, Visibility};

/// The contract lines that each operator has, in this order.
const LINES: [&str; 6] = ["Emits", "Backpressures", "Ends", "On error", "Holds", "Cost"];

/// An operator, as its documentation presents it.
struct Operator {
    name: String,
    /// Whether it is a method on `Flow`, not a function.
    is_method: bool,
    aliases: Vec<String>,
    sentence: String,
    lines: [String; 6],
    /// Whether the rule against allocations for an item is checked without an exception.
    allocates_nothing: bool,
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders of operators with the first line of what each says about itself.
fn folders() -> Vec<(String, String, Vec<PathBuf>)> {
    let mut folders = Vec::new();
    for folder in files(&manifest().join("src")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if !folder.is_dir() || ["clock", "testing"].contains(&name.as_str()) {
            continue;
        }
        let module = fs::read_to_string(folder.join("mod.rs")).unwrap();
        let purpose = module.lines().next().unwrap().trim_start_matches("//! ").to_owned();
        folders.push((name, purpose, files(&folder)));
    }
    folders
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// The operators of a file, and what is missing from their documentation.
fn operators(path: &Path, problems: &mut Vec<String>) -> Vec<Operator> {
    let text = fs::read_to_string(path).unwrap();
    let file = syn::parse_file(&text).unwrap();
    let mut found = Vec::new();
    for item in &file.items {
        match item {
            Item::Fn(function)
                if is_public(&function.vis)
                    && is_operator(&function.sig.output, &function.attrs) =>
            {
                found.push((function.sig.ident.to_string(), false, &function.attrs));
            }
            Item::Impl(block) if block.trait_.is_none() && is_any_flow(block) => {
                for item in &block.items {
                    if let ImplItem::Fn(method) = item
                        && is_public(&method.vis)
                        && is_operator(&method.sig.output, &method.attrs)
                    {
                        found.push((method.sig.ident.to_string(), true, &method.attrs));
                    }
                }
            }
            _ => {}
        }
    }
    let dense: String = text.split_whitespace().collect();
    let is_terminal = path.parent().is_some_and(|folder| folder.ends_with("terminal"));
    let allocates_nothing =
        text.contains("conformance!") && !text.contains("Allocation:") && !is_terminal;
    let file = path.strip_prefix(manifest()).unwrap().display();
    let mut operator = |(name, is_method, attrs): (String, bool, &Vec<Attribute>)| {
        let doc = documentation(attrs);
        let mut missing = |what: &str| problems.push(format!("{file}: {name}: no {what}"));
        let lines = LINES.map(|line| {
            contract_line(&doc, line).unwrap_or_else(|| {
                missing(&format!("line **{line}**"));
                String::new()
            })
        });
        if !doc.contains("```text") {
            missing("marble diagram");
        }
        if !doc.contains("```\n") || doc.matches("```").count() < 4 {
            missing("runnable example");
        }
        // It refuses to run under virtual time, as the checks do.
        let needs_threads = name == "blocking";
        let diagram = |end: char| dense.contains(&format!("marbles!({name}{end}"));
        if !needs_threads && !diagram(',') && !diagram('[') {
            missing("marbles!");
        }
        // What has no input has nothing to keep rules about, or to be compared with.
        let is_source = path.parent().is_some_and(|folder| folder.ends_with("source"));
        for check in ["conformance!", "specification!"] {
            if !is_source && !needs_threads && !text.contains(check) {
                missing(check);
            }
        }
        let sentence = doc.split("\n\n").next().unwrap_or_default();
        let sentence = sentence.split_inclusive(". ").next().unwrap_or_default();
        let sentence = sentence.trim().replace('\n', " ");
        Operator { name, is_method, aliases: aliases(attrs), sentence, lines, allocates_nothing }
    };
    found.into_iter().map(&mut operator).collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether the block is about flows of every kind: `impl<S> Flow<S>`. Methods of one kind of flow
/// set its parameters, or read what it counts.
fn is_any_flow(block: &syn::ItemImpl) -> bool {
    let Type::Path(path) = &*block.self_ty else {
        return false;
    };
    let last = path.path.segments.last().unwrap();
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return false;
    };
    let generic = |argument: &syn::GenericArgument| {
        let mut parameters = block.generics.type_params();
        matches!(argument, syn::GenericArgument::Type(Type::Path(path))
            if parameters.any(|parameter| path.path.is_ident(&parameter.ident)))
    };
    last.ident == "Flow" && arguments.args.iter().all(generic)
}

/// Whether it makes a flow of something, or says that it keeps the contract of an operator.
fn is_operator(output: &ReturnType, attrs: &[Attribute]) -> bool {
    let makes_a_flow = matches!(output, ReturnType::Type(_, ty)
        if matches!(&**ty, Type::Path(path) if path.path.segments.last().unwrap().ident == "Flow"));
    makes_a_flow && !documentation(attrs).is_empty() || documentation(attrs).contains("- **Emits**")
}

fn documentation(attrs: &[Attribute]) -> String {
    let mut text = String::new();
    for attr in attrs {
        if let Meta::NameValue(doc) = &attr.meta
            && doc.path.is_ident("doc")
            && let Expr::Lit(line) = &doc.value
            && let Lit::Str(line) = &line.lit
        {
            let line = line.value();
            text += line.strip_prefix(' ').unwrap_or(&line);
            text.push('\n');
        }
    }
    text
}

fn aliases(attrs: &[Attribute]) -> Vec<String> {
    let mut aliases = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("doc")) {
        let Meta::List(list) = &attr.meta else {
            continue;
        };
        let metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap();
        for meta in metas.iter().filter(|meta| meta.path().is_ident("alias")) {
            match meta {
                Meta::List(list) => {
                    let names = list
                        .parse_args_with(Punctuated::<syn::LitStr, Token![,]>::parse_terminated)
                        .unwrap();
                    aliases.extend(names.iter().map(syn::LitStr::value));
                }
                Meta::NameValue(syn::MetaNameValue { value: Expr::Lit(literal), .. }) => {
                    if let Lit::Str(name) = &literal.lit {
                        aliases.push(name.value());
                    }
                }
                _ => {}
            }
        }
    }
    aliases
}

/// What `- **Emits** …` says, up to the next line of the list or the end of the paragraph.
fn contract_line(doc: &str, line: &str) -> Option<String> {
    let start = doc.find(&format!("- **{line}**"))? + format!("- **{line}**").len();
    let rest = &doc[start..];
    let end = [rest.find("\n- "), rest.find("\n\n")].into_iter().flatten().min();
    let words: Vec<_> = rest[..end.unwrap_or(rest.len())].split_whitespace().collect();
    Some(words.join(" ").trim_start_matches([':', ' ']).to_owned())
}

/// Text in a cell of a table: links are dropped, since they lead to places within the API pages.
fn cell(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|close| open + close) else {
            break;
        };
        plain += &rest[..open];
        plain += &rest[open + 1..close];
        rest = &rest[close + 1..];
        if rest.starts_with('(')
            && let Some(end) = rest.find(')')
        {
            let end = end + usize::from(rest[..end].contains('(') && rest[1..end].contains('('));
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    plain += rest;
    plain.replace('|', "\\|")
}

fn page(problems: &mut Vec<String>) -> String {
    let mut page = String::from(
        "# The operators\n\n\
         Made from the documentation in the code; `UPDATE_DOCS=1 cargo test -p aqueduct-operators \
         --test vocabulary` writes it anew. Names with a dot are methods of `Flow`, the others are \
         functions. *Allocates nothing* means that the allocation meter of the test kit finds no \
         allocation for an item once the operator runs; terminals are not measured.\n",
    );
    let mut index = BTreeMap::<String, Vec<String>>::new();
    let mut tables = String::new();
    let mut count = 0;
    for (folder, purpose, files) in folders() {
        let sources = files.iter().filter(|path| !path.ends_with("mod.rs") && path.is_file());
        let operators: Vec<_> = sources.flat_map(|path| operators(path, problems)).collect();
        count += operators.len();
        if operators.is_empty() {
            continue;
        }
        writeln!(tables, "\n## {folder}\n\n{purpose}\n").unwrap();
        tables += "| operator | also known as | what it does | emits | backpressures | ends | \
                   on error | holds | cost | allocates nothing |\n|--|--|--|--|--|--|--|--|--|--|\n";
        for operator in operators {
            let dot = if operator.is_method { "." } else { "" };
            let name = format!("{dot}{}", operator.name);
            for alias in &operator.aliases {
                index.entry(alias.clone()).or_default().push(name.clone());
            }
            let cells: Vec<_> = operator.lines.iter().map(|line| cell(line)).collect();
            writeln!(
                tables,
                "| `{name}` | {} | {} | {} | {} |",
                operator.aliases.join(", "),
                cell(&operator.sentence),
                cells.join(" | "),
                if operator.allocates_nothing { "yes" } else { "" },
            )
            .unwrap();
        }
    }
    writeln!(page, "\n{count} operators, and {} names under which others know them.", index.len())
        .unwrap();
    page += &tables;
    page += "\n## Names in other libraries\n\n| there | here |\n|--|--|\n";
    for (alias, names) in index {
        writeln!(page, "| {alias} | `{}` |", names.join("`, `")).unwrap();
    }
    page
}

#[test]
fn the_page_says_what_the_code_says_and_the_code_says_all() {
    let mut problems = Vec::new();
    let page = page(&mut problems);
    assert!(problems.is_empty(), "{} things are missing:\n{}", problems.len(), problems.join("\n"));
    let path = manifest().join("../docs/operators.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let stale = page.lines().zip(stored.lines()).find(|(new, old)| new != old);
    assert!(
        stored == page,
        "docs/operators.md is stale: UPDATE_DOCS=1 cargo test -p aqueduct-operators --test \
         vocabulary writes it anew; the first line that differs: {stale:?}"
    );
}
