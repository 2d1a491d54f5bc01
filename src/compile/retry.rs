use super::{
    document::{Kind, Node},
    draft::read_needs,
    fields::{Fields, Report},
    graph::{Retry, RetryOn},
    keys::RETRY,
};
use windlass_script::{closest, did_you_mean};
use windlass_world::value::{FailureClass, Value, parse_duration};

/// The largest number of attempts that makes sense: with the default backoff, they take more than half an hour.
pub(super) const MOST_ATTEMPTS: i64 = 100;

impl Retry {
    /// Reads `retry:`.
    pub(super) fn read(report: &mut Report, node: &Node) -> Self {
        let mut retry = Self::default();
        if let Kind::Scalar {
            value: Value::Int(attempts),
            ..
        } = node.kind
        {
            let mistake = report.at("wrong-type", node.span.clone(), "`retry` must be a map");
            let help = format!("write `retry: {{ attempts: {attempts} }}`");
            report.add(mistake.help(help));
            return retry;
        }
        let mut fields = Fields::of(report, node, &RETRY, "`retry`");
        if let Some(attempts) = fields.count(report, "attempts") {
            retry.attempts = attempts;
        }
        if let Some(node) = fields.take("backoff")
            && let Some(text) = report.text(node, "`backoff`")
        {
            let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
            match (parse_duration(shortest), parse_duration(longest)) {
                (Ok(shortest), Ok(longest)) if shortest <= longest => {
                    (retry.shortest, retry.longest) = (shortest, longest);
                }
                _ => {
                    let message = format!("`{text}` is not a valid backoff");
                    let mistake = report
                        .at("wrong-type", node.span.clone(), message)
                        .help("write the shortest and the longest pause: `1s..30s`");
                    report.add(mistake);
                }
            }
        }
        if let Some(node) = fields.take("on") {
            let (mut classes, mut takes_any) = (Vec::new(), false);
            for class in read_needs(report, Some(node)) {
                match class.text.parse::<FailureClass>() {
                    Ok(class) => classes.push(class),
                    Err(_) if class.text == "any" => takes_any = true,
                    Err(_) => {
                        let names = FailureClass::NAMES;
                        let help = match closest(&class.text, names.iter().copied()) {
                            Some(near) => did_you_mean(near),
                            None => format!("the classes are any, {}", names.join(", ")),
                        };
                        let message = format!("`{}` is not a failure class", class.text);
                        let mistake = report.at("wrong-type", class.span, message).help(help);
                        report.add(mistake);
                    }
                }
            }
            retry.on = match classes.is_empty() {
                _ if takes_any => RetryOn::Any,
                true => RetryOn::Usual,
                false => RetryOn::Classes(classes),
            };
        }
        fields.finish(report);
        retry
    }
}
