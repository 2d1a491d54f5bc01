//! Shows a host function, a module, a key of the workflow file, a word of its language or an error code as a page.

use super::{
    codes::{code_page, codes},
    language::{language_pages, language_terms, language_topics},
    page::{Page, Term},
};
use windlass_compile::{FileKey, Form, Section, all_sections};
use windlass_script::{
    Doubt, Function, HostModule, Impact, MODULES, Need, Needs, On, Parameter, Reversible, Rule,
    ValueKind, closest, function, functions,
};

/// Returns the pages about a word: several if it is a key of several maps, or a function of several modules.
///
/// # Errors
/// The topics that were probably meant: the most similar ones, or those that contain the word.
pub fn explain(word: &str) -> Result<Vec<Page>, Vec<String>> {
    if let Some(page) = code_page(word) {
        // A code may be a word of the language, too.
        let mut pages = vec![page];
        pages.extend(language_pages(word));
        return Ok(pages);
    }
    if let Some(function) = function(word) {
        return Ok(vec![function_page(function, None)]);
    }
    let mut pages: Vec<_> = MODULES
        .iter()
        .filter(|module| module.name == word)
        .map(module_page)
        .collect();
    let (section, name) = word.rsplit_once('.').unwrap_or(("", word));
    for of in all_sections().filter(|of| section.is_empty() || of.name == section) {
        pages.extend(of.key(name).map(|key| key_page(of, key)));
    }
    pages.extend(
        functions()
            .filter(|row| row.name.ends_with(&format!("::{word}")))
            .map(|row| function_page(row, None)),
    );
    pages.extend(language_pages(word));
    if pages.is_empty() {
        Err(near(word))
    } else {
        Ok(pages)
    }
}

/// The number of topics that are suggested.
const SUGGESTED: usize = 4;

fn near(word: &str) -> Vec<String> {
    let topics = topics();
    if let Some(topic) = closest(word, topics.iter().map(String::as_str)) {
        return vec![topic.to_owned()];
    }
    let word = word.to_lowercase();
    let is_near = |topic: &&String| word.len() > 2 && topic.to_lowercase().contains(&word);
    let mut found: Vec<_> = topics.iter().filter(is_near).cloned().collect();
    // Functions are listed with their module, too.
    found.retain(|topic| {
        !topics
            .iter()
            .any(|other| other.ends_with(&format!("::{topic}")))
    });
    found.truncate(SUGGESTED);
    found
}

/// Lists every word that [`explain`] knows.
pub fn topics() -> Vec<String> {
    let mut topics: Vec<_> = codes().map(str::to_owned).collect();
    topics.extend(functions().map(|row| row.name.to_owned()));
    topics.extend(functions().filter_map(|row| Some(row.name.split_once("::")?.1.to_owned())));
    topics.extend(MODULES.iter().map(|module| module.name.to_owned()));
    topics.extend(language_topics().map(str::to_owned));
    for section in all_sections() {
        topics.extend(section.keys.iter().map(|key| key.name.to_owned()));
        topics.extend(
            section
                .keys
                .iter()
                .map(|key| format!("{}.{}", section.name, key.name)),
        );
    }
    topics
}

/// Returns the page that lists all topics.
pub fn topics_page() -> Page {
    let keys = all_sections().map(|section| Term {
        name: section.name.to_owned(),
        kind: String::new(),
        about: names(section.keys.iter().map(|key| key.name)),
    });
    let modules = MODULES.iter().map(|module| Term {
        name: module.name.to_owned(),
        kind: module.about.to_owned(),
        about: names(
            module
                .functions
                .iter()
                .filter_map(|row| Some(row.name.split_once("::")?.1)),
        ),
    });
    Page::new("Topics of `windlass explain`")
        .terms(
            "keys of workflows, test files and mock files",
            keys.collect(),
        )
        .terms(
            "types, and what expressions and scripts read",
            language_terms(),
        )
        .terms("host functions", modules.collect())
        .terms(
            "error codes",
            vec![Term {
                name: names(codes()),
                kind: String::new(),
                about: String::new(),
            }],
        )
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn module_page(module: &HostModule) -> Page {
    let terms = module.functions.iter().map(|row| Term {
        name: format!("`{}`", row.usage()),
        kind: String::new(),
        about: row.about.to_owned(),
    });
    Page::new(format!("`{}`", module.name))
        .text(module.about)
        .terms("functions", terms.collect())
}

/// Returns the page of a host function: its usage, its effect, its permissions. Options and results that equal those of another function are
/// not repeated.
pub fn function_page(row: &Function, alike: Option<&Function>) -> Page {
    let page = Page::new(format!("`{}`", row.name))
        .code("rhai", row.usage())
        .text(row.about);
    let is_plain = |parameter: &&Parameter| !matches!(parameter.kind, ValueKind::Record(_));
    let arguments: Vec<_> = row.takes.iter().filter(is_plain).map(term).collect();
    let mut page = page.terms("arguments", arguments);
    match alike {
        Some(other) => {
            page = page.text(format!(
                "It has the options and the result of `{}`.",
                other.name
            ));
        }
        None => {
            if let Some((_, options)) = row.options() {
                page = page.terms("options", of_record("", options));
            }
            if let Some(fields) = row.gives.kind.fields() {
                page = page.terms("fields of the result", fields.iter().map(term).collect());
            }
        }
    }
    page.terms("facts", facts(row)).code("rhai", row.example)
}

fn facts(row: &Function) -> Vec<Term> {
    let fact = |name: &str, about: String| Term {
        name: name.to_owned(),
        kind: String::new(),
        about,
    };
    let mut facts = Vec::new();
    if !matches!(row.gives.kind, ValueKind::Nothing) {
        let about = match row.gives.about {
            "" => row.gives.kind.to_string(),
            about => format!("{}: {about}", row.gives.kind),
        };
        facts.push(fact("gives", about));
    }
    let class = match &row.does {
        Impact::Computes => {
            "reads and changes nothing outside: the result depends only on the arguments"
        }
        Impact::Records => {
            "changes nothing outside; the result is recorded, and a replay returns the same result"
        }
        Impact::Reads => "reads; repeated if it is in doubt",
        Impact::Changes(change) => match change.doubt {
            Doubt::Again(_) | Doubt::AgainFor(..) => "changes something; safe to repeat",
            Doubt::Found(_) => "changes something; looked up if it is in doubt",
            Doubt::Asks(_) => "changes something; not safe to repeat",
            Doubt::Decided(..) => {
                "changes something; whether it is safe to repeat depends on the arguments"
            }
        },
    };
    facts.push(fact("does", class.to_owned()));
    if let Some(change) = row.change() {
        facts.push(fact("in doubt", change.doubt.words().to_owned()));
        let undo = match &change.undo {
            Reversible::By(words, _) => (*words).to_owned(),
            Reversible::IfGiven(words, _) => {
                format!("{words}; without it, the call is not reversed")
            }
            Reversible::Never(words, _) => format!("not reversed: {words}"),
        };
        facts.push(fact("undo", undo));
    }
    match row.needs {
        Needs::Nothing => {}
        Needs::AwsOperation => facts.push(fact(
            "IAM",
            "the action of the operation, such as `secretsmanager:GetSecretValue`".to_owned(),
        )),
        Needs::Aws { run, undo } => {
            let actions = |actions: &[&str]| {
                let named: Vec<_> = actions
                    .iter()
                    .map(|action| format!("`acm-pca:{action}`"))
                    .collect();
                named.join(", ")
            };
            facts.push(fact("IAM", actions(run)));
            if !undo.is_empty() {
                facts.push(fact("IAM of an undo", actions(undo)));
            }
        }
        Needs::Kubernetes { run, undo } => {
            let rules = |rules: &[Rule]| {
                let named: Vec<_> = rules
                    .iter()
                    .map(|rule| format!("{} {}", rule.verbs.join(", "), subject(rule.on)))
                    .collect();
                named.join("; ")
            };
            facts.push(fact("RBAC", rules(run)));
            if !undo.is_empty() {
                facts.push(fact("RBAC of an undo", rules(undo)));
            }
        }
    }
    facts
}

fn subject(on: On) -> String {
    match on {
        On::Argument => "of what its argument names".to_owned(),
        On::Workload => "of the workload".to_owned(),
        On::Secret => "of the Secret".to_owned(),
        On::All(resource) => format!("of `{resource}`"),
    }
}

/// Lists options, with nested ones as `outer.inner`.
fn of_record(outer: &str, options: &'static [Parameter]) -> Vec<Term> {
    let mut terms = Vec::new();
    for option in options {
        let name = format!("{outer}{}", option.name);
        terms.push(Term {
            name: format!("`{name}`"),
            ..term(option)
        });
        let kinds = match option.kind {
            ValueKind::Either(kinds) => kinds,
            _ => std::slice::from_ref(&option.kind),
        };
        for kind in kinds {
            match kind {
                ValueKind::Record(inner) => terms.extend(of_record(&format!("{name}."), inner)),
                ValueKind::List(ValueKind::Record(inner)) => {
                    terms.extend(of_record(&format!("{name}[]."), inner));
                }
                _ => {}
            }
        }
    }
    terms
}

fn term(parameter: &Parameter) -> Term {
    Term {
        name: format!("`{}`", parameter.name),
        kind: match parameter.need {
            Need::Required => parameter.kind.to_string(),
            Need::Optional => format!("{}, optional", parameter.kind),
            Need::Default(value) => format!("{} = `{value}`", parameter.kind),
        },
        about: parameter.about.to_owned(),
    }
}

/// Returns the page of a key of the workflow file.
fn key_page(section: &Section, key: &FileKey) -> Page {
    let of = match section.name {
        "workflow" => "of a workflow".to_owned(),
        name => format!("of a {name}"),
    };
    let mut facts = vec![("takes", value_of(&key.form))];
    facts.extend(
        key.default
            .map(|default| ("default", format!("`{default}`"))),
    );
    if key.is_required {
        facts.push(("required", "yes".to_owned()));
    }
    facts.extend(key.only_with.map(|with| ("only with", format!("`{with}`"))));
    let facts = facts.into_iter().map(|(name, about)| Term {
        name: name.to_owned(),
        kind: String::new(),
        about,
    });
    let page = Page::new(format!("`{}`, {of}", key.name))
        .text(key.about)
        .terms("facts", facts.collect());
    let page = match key.form {
        Form::Section(inner) | Form::Sections(inner) => page.terms("keys", key_terms(inner)),
        _ => page,
    };
    page.code("yaml", key.example)
}

/// Lists the keys of a map, each as it is written in a file.
fn key_terms(section: &Section) -> Vec<Term> {
    let terms = section.keys.iter().map(|key| {
        let mut kind = value_of(&key.form);
        if key.is_required {
            kind.push_str(", required");
        }
        if let Some(default) = key.default {
            kind.push_str(&format!(" = `{default}`"));
        }
        if let Some(with) = key.only_with {
            kind.push_str(&format!(", only with `{with}`"));
        }
        Term {
            name: format!("`{}`", key.example),
            kind,
            about: key.about.to_owned(),
        }
    });
    terms.collect()
}

/// Returns the page of a map and its keys.
pub fn section_page(section: &Section) -> Page {
    let title = format!("A {}", section.name);
    Page::new(title)
        .text(section.about)
        .terms("key", key_terms(section))
}

/// Describes the values of a key.
fn value_of(form: &Form) -> String {
    match form {
        Form::Text => "string".to_owned(),
        Form::Flag => "bool".to_owned(),
        Form::Duration => "duration, such as `30s`".to_owned(),
        Form::Count(most) => format!("int from 1 to {most}"),
        Form::Between(least, most) => format!("int from {least} to {most}"),
        Form::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(" or ")
        }
        Form::Template => "any value; strings may contain `${{ … }}`".to_owned(),
        Form::Condition => "bool, or one `${{ … }}`".to_owned(),
        Form::Items => "list or map, or one `${{ … }}`".to_owned(),
        Form::Names => "name, or list of names".to_owned(),
        Form::Type => "type".to_owned(),
        Form::Value => "any value without `${{ … }}`".to_owned(),
        Form::Values => "list of values without `${{ … }}`".to_owned(),
        Form::Limit => "number or duration".to_owned(),
        Form::Backoff => "pause, or shortest..longest pause".to_owned(),
        Form::Classes => "failure class, or list of failure classes".to_owned(),
        Form::Section(_) => "map".to_owned(),
        Form::Sections(_) => "list of maps".to_owned(),
        Form::Templates => "map of any values; strings may contain `${{ … }}`".to_owned(),
        Form::Params => "map of params".to_owned(),
        Form::Phases => "map of phases".to_owned(),
        Form::Steps => "map of steps".to_owned(),
    }
}
