use std::{collections::BTreeSet, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::stdio,
};
use serde_json::{Value as Json, json};

use super::tool::{Permission, Setting, needed, tools};
use crate::{
    report,
    runs::{Person, Runs, RunsError},
};

const INSTRUCTIONS: &str = "\
Windlass runs workflows, which are graphs of steps, to rotate certificates and for other runbooks. It records every call, so that a run \
that stops can continue without making a call twice. \
Call plan_run before you start anything, and show the plan to the person. \
If a run has failed, find the cause and resume the run; do not start another one. \
Only people approve, reject, cancel and undo. Tell them the command: `windlass approve RUN STEP`, `windlass reject RUN STEP`, \
`windlass cancel RUN` or `windlass undo RUN`. \
Each error has a code; call the tool explain with it for details.";

/// An MCP server that answers an assistant over standard input and output.
pub struct Assistant {
    setting: Arc<Setting>,
    allowed: BTreeSet<Permission>,
}

impl Assistant {
    pub fn new(runs: Arc<dyn Runs>, person: Person, allowed: BTreeSet<Permission>) -> Self {
        Self {
            setting: Arc::new(Setting { runs, person }),
            allowed,
        }
    }

    /// Serves until standard input ends.
    ///
    /// # Errors
    /// Returns why the session failed, for example because the client does not use the protocol.
    pub async fn serve(self) -> Result<(), String> {
        let service = ServiceExt::serve(self, stdio()).await;
        let service = service.map_err(|e| e.to_string())?;
        service.waiting().await.map_err(|e| e.to_string())?;
        Ok(())
    }
}

impl ServerHandler for Assistant {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        let mut config = ServerConfig::new(tools).with_instructions(INSTRUCTIONS);
        config.server_info = Implementation::new("windlass", env!("CARGO_PKG_VERSION"));
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let all = tools(&self.allowed).map(|row| row.to_tool());
        Ok(ListToolsResult::with_all_items(all.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(row) = tools(&self.allowed).find(|row| row.name == request.name) else {
            return Err(ErrorData::invalid_params(no_tool(&request.name), None));
        };
        let arguments = Json::Object(request.arguments.unwrap_or_default());
        let setting = self.setting.clone();
        // The service over runs blocks on the disk or the network.
        let called = tokio::task::spawn_blocking(move || (row.call)(&setting, arguments)).await;
        let result = match called {
            Ok(Ok(answer)) => CallToolResult::structured(answer),
            Ok(Err(error)) => {
                tracing::info!(tool = row.name, code = error.code, %error, "a tool failed");
                failed(&error)
            }
            Err(error) => {
                tracing::error!(tool = row.name, %error, "a tool crashed");
                let why = "the tool crashed; this is a bug in windlass";
                failed(&RunsError::broken("system", why))
            }
        };
        Ok(result.into())
    }
}

/// Says why a tool can't be called.
fn no_tool(name: &str) -> String {
    match needed(name) {
        Some(option) => format!(
            "the tool `{name}` is not allowed; a person can allow it: `windlass mcp --allow {option}`"
        ),
        None => format!("there is no tool `{name}`"),
    }
}

/// Returns an error to the assistant, with its code (for the tool `explain`) and hint.
fn failed(error: &RunsError) -> CallToolResult {
    let drawn = error.mistakes.iter().flat_map(|mistakes| &mistakes.0);
    let mistakes: Vec<_> = drawn
        .map(|mistake| plain(&report::render(mistake)))
        .collect();
    let mut text = if mistakes.is_empty() {
        format!("error[{}]: {}", error.code, error.message)
    } else {
        mistakes.join("\n")
    };
    if let Some(hint) = &error.hint {
        text.push_str(&format!("\nhint: {hint}"));
    }
    let params: serde_json::Map<String, Json> = error
        .params
        .iter()
        .map(|(name, why)| (name.clone(), why.clone().into()))
        .collect();
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.structured_content = Some(json!({
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "mistakes": mistakes,
        "params": params,
    }));
    result
}

/// Removes the colours from a text for terminals.
fn plain(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}
