//! The environment of a program.
//!
//! The target decides which programs a script may start. A variable that makes such a program load a library, read a start-up file or
//! start a helper would let the script run anything. A target can name the variables that scripts may set for a program. One that
//! does not leaves it to the lists below: the variables in them come only from the environment of windlass, if the target passes them on.
//! No list is complete: any program may have such a variable.

use std::{env, ffi::OsString};

use crate::value::matches_glob;

/// The variables that a program always gets from the environment, in addition to those of its target and its call.
const KEPT: [&str; 8] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "USER",
    "KUBECONFIG",
    "AWS_PROFILE",
];

/// The prefixes of variables that change which code runs.
const REFUSED_BEGINNINGS: [&str; 29] = [
    // The dynamic loaders of Linux, the BSDs and macOS (ld.so(8), dyld(1)).
    "LD_",
    "DYLD_",
    // Functions that bash exports, and reads when it starts.
    "BASH_FUNC_",
    // Configuration of git (git-config(1)): aliases, hooks, commands for SSH, paging, credentials.
    "GIT_CONFIG",
    "npm_config_",
    "NPM_CONFIG_",
    // Start-up code of Lua, and profilers that .NET loads.
    "LUA_",
    "COR_PROFILER",
    "CORECLR_PROFILER",
    "DOTNET_STARTUP_HOOKS",
    "GUILE_",
    "JULIA_",
    // Build tools and package managers: compilers, wrappers and runners, sources of packages, plugins.
    "ANSIBLE_",
    "BUNDLE_",
    "CARGO_",
    "CGO_",
    "CONDA_",
    "GRADLE_",
    "MAVEN_",
    "PIP_",
    "PIPX_",
    "POETRY_",
    "RUSTC",
    "RUSTDOC",
    "UV_",
    "YARN_",
    // Plugins, and arguments before those of the command line.
    "CLOUDSDK_PYTHON",
    "RSYNC_",
    "TF_CLI_",
];

/// The endings of variables that name a helper, or where code is looked for.
const REFUSED_ENDINGS: [&str; 13] = [
    "_ASKPASS",
    "_BROWSER",
    "_EDITOR",
    "_EXTERNAL_DIFF",
    "_LOAD_PATH",
    "_PAGER",
    "_PLUGIN_DIR",
    "_PLUGIN_PATH",
    "_PLUGINS",
    "_PRELOAD",
    "_RSH",
    "_SHELL",
    "_WRAPPER",
];

/// The endings of variables that hold credentials, whatever they begin with.
const CREDENTIALS: [&str; 5] = ["_PASSWORD", "_SECRET", "_TOKEN", "_USER", "_USERNAME"];

/// The names of such variables.
const REFUSED: &[&str] = &[
    // Where programs, and configuration with commands in it, are looked for.
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_HOME",
    "XDG_DATA_DIRS",
    // Shells.
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "SHELL",
    "ZDOTDIR",
    "CDPATH",
    "FPATH",
    "BASH_LOADABLES_PATH",
    "INPUTRC",
    "TERMINFO",
    "TERMINFO_DIRS",
    "TERMCAP",
    // glibc.
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "LOCPATH",
    "NLSPATH",
    "LIBPATH",
    "SHLIB_PATH",
    // Interpreters and virtual machines.
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONWARNINGS",
    "PYTHONBREAKPOINT",
    "PYTHONINSPECT",
    "PERL5LIB",
    "PERLLIB",
    "PERL5OPT",
    "PERL5DB",
    "PERL5DB_THREADED",
    "PERL5SHELL",
    "RUBYLIB",
    "RUBYOPT",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_GEMFILE",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "JAVA_OPTS",
    "JAVA_HOME",
    "CLASSPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "R_PROFILE",
    "R_PROFILE_USER",
    "R_ENVIRON",
    "R_ENVIRON_USER",
    "TCLLIBPATH",
    "ERL_LIBS",
    "ERL_FLAGS",
    "ERL_AFLAGS",
    "ERL_ZFLAGS",
    "ANT_OPTS",
    "SBT_OPTS",
    "AWKPATH",
    "AWKLIBPATH",
    "EMACSLOADPATH",
    "EXINIT",
    "VIRTUAL_ENV",
    "COMPOSER_HOME",
    "PNPM_HOME",
    // Compilers and make.
    "MAKEFLAGS",
    "GNUMAKEFLAGS",
    "MFLAGS",
    "MAKEFILES",
    "GOFLAGS",
    "GOENV",
    "GOPATH",
    "GOROOT",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    // Options that start programs.
    "TAR_OPTIONS",
    "ZIPOPT",
    "MANROFFOPT",
    "LESSKEY",
    "LESSKEYIN",
    "LESSKEY_CONTENT",
    // Programs that others start, and libraries that they load.
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "BROWSER",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_PROXY_COMMAND",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_ASKPASS",
    "GIT_TEMPLATE_DIR",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "OPENSSL_CONF_INCLUDE",
    "SVN_SSH",
    "HGRCPATH",
    "SASL_PATH",
    "SASL_CONF_PATH",
    "KRB5_CONFIG",
    "ODBCSYSINI",
    "ODBCINI",
    "ODBCINSTINI",
    "GIO_EXTRA_MODULES",
    "GIO_MODULE_DIR",
    "GTK_MODULES",
    "GTK_PATH",
    // Configuration that names commands: exec plugins, `credential_process`, credential helpers.
    "KUBECONFIG",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "DOCKER_CONFIG",
    "BUILDX_CONFIG",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
    "AZURE_EXTENSION_DIR",
    "BOTO_CONFIG",
    "GNUPGHOME",
    "HELM_CACHE_HOME",
    "HELM_CONFIG_HOME",
    "HELM_DATA_HOME",
    "KREW_ROOT",
    "TERRAFORM_CONFIG",
    "TF_DATA_DIR",
    "TF_PLUGIN_CACHE_DIR",
    "PSQLRC",
    "PGSYSCONFDIR",
    "PGSERVICEFILE",
    "MYSQL_HOME",
    "VIM",
    "VIMINIT",
    "VIMRUNTIME",
    "WGETRC",
    "SYSTEM_WGETRC",
    "CURL_HOME",
];

/// Returns the variables of this process that a program gets.
pub(super) fn kept(also: &[String]) -> impl Iterator<Item = (&str, OsString)> {
    KEPT.into_iter()
        .chain(also.iter().map(String::as_str))
        .filter_map(|name| Some((name, env::var_os(name)?)))
}

/// Rejects a text that is not the name of a variable.
///
/// # Errors
/// The reason why it is not.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("the name of a variable is empty".into()),
        _ if name.contains(['=', '\0']) => Err(format!("{name:?} is not the name of a variable")),
        _ => Ok(()),
    }
}

/// Rejects a variable that a script may not set for a program; `settable` are those that the target names. A pattern of the target does
/// not match what changes which code runs: it has to be written out.
///
/// # Errors
/// The reason, and what to do instead.
pub(super) fn check_variable(
    program: &str,
    name: &str,
    settable: Option<&[String]>,
) -> Result<(), String> {
    check_name(name)?;
    let mut named = settable.unwrap_or_default().iter();
    if named.any(|named| named == name) {
        return Ok(());
    }
    if is_refused(name) {
        return Err(format!(
            "a script can't set `{name}`, which may change what code a program runs; set it in the environment of \
             windlass, and pass it on in windlass.toml: `exec = {{ {program} = {{ env = [\"{name}\"] }} }}`; or let scripts \
             set it: `exec = {{ {program} = {{ set = [\"{name}\"] }} }}`"
        ));
    }
    let matches = |pattern: &String| {
        let parts: Vec<_> = pattern.split('*').collect();
        matches_glob(&parts, name)
    };
    match settable {
        Some(settable) if !settable.iter().any(matches) => Err(format!(
            "a script can't set `{name}`: for `{program}`, the target lets it set {}; add it in windlass.toml: \
             `exec = {{ {program} = {{ set = [\"{name}\"] }} }}`",
            if settable.is_empty() {
                "no variables".to_owned()
            } else {
                format!("only `{}`", settable.join("`, `"))
            }
        )),
        _ => Ok(()),
    }
}

fn is_refused(name: &str) -> bool {
    let is_credential = CREDENTIALS.iter().any(|ending| name.ends_with(ending));
    REFUSED.contains(&name)
        || (!is_credential
            && REFUSED_BEGINNINGS
                .iter()
                .any(|beginning| name.starts_with(beginning)))
        || REFUSED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_no_script_says_what_code_runs() {
        for name in [
            "",
            "A=B",
            "PATH",
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PYTHONPATH",
            "PERL5LIB",
            "NODE_OPTIONS",
            "GIT_SSH",
            "GIT_CONFIG_COUNT",
            "BASH_FUNC_x%%",
            "HOME",
            "TAR_OPTIONS",
            "RSYNC_RSH",
            "RUSTC_WRAPPER",
            "HELM_PLUGINS",
            "KUBECTL_EXTERNAL_DIFF",
            "KUBE_EDITOR",
            "AWS_PAGER",
            "JULIA_LOAD_PATH",
            "GUILE_LOAD_PATH",
            "MAVEN_OPTS",
            "PIP_INDEX_URL",
            "VIMINIT",
        ] {
            assert!(check_variable("p", name, None).is_err(), "{name}");
            let all = ["*".to_owned(), format!("{name}*")];
            assert!(check_variable("p", name, Some(&all)).is_err(), "{name}");
        }
        for name in [
            "A",
            "TOKEN",
            "AWS_REGION",
            "HTTPS_PROXY",
            "TMPDIR",
            "PYTHONUNBUFFERED",
            "PATHS",
            "PGPASSWORD",
            "RSYNC_PASSWORD",
            "CARGO_REGISTRY_TOKEN",
            "VIMEO_TOKEN",
            "SSL_CERT_FILE",
            "TF_VAR_region",
        ] {
            assert_eq!(check_variable("p", name, None), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_target_names_what_scripts_may_set() {
        let named = ["AWS_*", "TF_VAR_*_id", "TAR_OPTIONS"].map(str::to_owned);
        for name in ["AWS_REGION", "TF_VAR_zone_id", "TAR_OPTIONS"] {
            assert_eq!(check_variable("p", name, Some(&named)), Ok(()), "{name}");
        }
        for name in ["TOKEN", "AWS_CONFIG_FILE", "AWS_PAGER", "TF_VAR_zone", ""] {
            assert!(check_variable("p", name, Some(&named)).is_err(), "{name}");
        }
        let why = check_variable("tool", "TOKEN", Some(&named)).expect_err("not named");
        assert!(
            why.contains("only `AWS_*`, `TF_VAR_*_id`, `TAR_OPTIONS`"),
            "{why}"
        );
        let why = check_variable("tool", "TOKEN", Some(&[])).expect_err("none are");
        assert!(
            why.contains("no variables") && why.contains("set = [\"TOKEN\"]"),
            "{why}"
        );
    }
}
