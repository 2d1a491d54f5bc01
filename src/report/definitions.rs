//! Definition files of the host modules, for editors that read Rhai's (The Rhai Book, "Definition Files").

use windlass_script::{Function, HostModule, MODULES, Need, Parameter, ScriptType, ValueKind};

/// Returns the definition files of all host modules: name and content.
pub fn definitions() -> Vec<(String, String)> {
    let file = |module: &HostModule| (format!("{}.d.rhai", module.name), definition(module));
    MODULES.iter().map(file).collect()
}

fn definition(module: &HostModule) -> String {
    let mut text = format!("/// {}\nmodule {};\n", module.about, module.name);
    for function in module.functions {
        // Rhai has no optional parameters: each number of arguments is a separate function.
        for count in function.least_arguments()..=function.takes.len() {
            text.push('\n');
            text.push_str(&comment(function));
            text.push_str(&signature(function, count));
        }
    }
    text
}

fn comment(function: &Function) -> String {
    let mut lines = vec![function.about.to_owned()];
    for parameter in function.takes {
        lines.push(String::new());
        lines.push(described(parameter, ""));
        if let ValueKind::Record(options) = parameter.kind {
            lines.extend(options.iter().map(|option| described(option, "- ")));
        }
    }
    if !matches!(function.gives.kind, ValueKind::Nothing) {
        lines.push(String::new());
        let about = match function.gives.about {
            "" => String::new(),
            about => format!(": {about}"),
        };
        lines.push(format!("Returns {}{about}", function.gives.kind));
        let fields = function.gives.kind.fields().into_iter().flatten();
        lines.extend(fields.map(|field| described(field, "- ")));
    }
    lines.extend([
        String::new(),
        "```rhai".to_owned(),
        function.example.to_owned(),
        "```".to_owned(),
    ]);
    let lines = lines
        .iter()
        .map(|line| format!("/// {line}").trim_end().to_owned() + "\n");
    lines.collect()
}

/// Formats `- format (string = "JSON"): how it is written`.
fn described(parameter: &Parameter, before: &str) -> String {
    let need = match parameter.need {
        Need::Required => String::new(),
        Need::Optional => ", optional".to_owned(),
        Need::Default(value) => format!(" = {value}"),
    };
    let about = match parameter.about {
        "" => String::new(),
        about => format!(": {about}"),
    };
    format!(
        "{before}`{}` ({}{need}){about}",
        parameter.name, parameter.kind
    )
}

fn signature(function: &Function, count: usize) -> String {
    let name = function.name.rsplit("::").next().unwrap_or(function.name);
    let parameters = function.takes.iter().take(count);
    let parameters: Vec<_> = parameters
        .map(|parameter| format!("{}: {}", parameter.name, rhai_type(parameter.kind)))
        .collect();
    let gives = match function.gives.kind {
        ValueKind::Nothing => String::new(),
        kind => format!(" -> {}", rhai_type(kind)),
    };
    format!("fn {name}({}){gives};\n", parameters.join(", "))
}

/// Returns Rhai's name of a type; `?` stands for any.
fn rhai_type(kind: ValueKind) -> &'static str {
    match kind.script_type() {
        ScriptType::Any => "?",
        ScriptType::Bool => "bool",
        ScriptType::Bytes => "Bytes",
        ScriptType::Float => "float",
        ScriptType::Function => "Fn",
        ScriptType::Int => "int",
        ScriptType::List => "Array",
        ScriptType::Map => "Map",
        ScriptType::Nothing => "()",
        ScriptType::Secret => "Secret",
        ScriptType::Text => "String",
    }
}
