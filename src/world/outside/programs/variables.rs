//! The environment of a program.
//!
//! The target decides which programs a script may start. A variable that makes such a program load a library, read a start-up file or
//! start a helper would let the script run anything. So such variables never come from a script: only from the environment of
//! windlass, if the target passes them on.

use std::{env, ffi::OsString};

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
const REFUSED_BEGINNINGS: [&str; 10] = [
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
];

/// The names of such variables.
const REFUSED: [&str; 89] = [
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
    // Configuration that names commands: exec plugins, `credential_process`, credential helpers.
    "KUBECONFIG",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "DOCKER_CONFIG",
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

/// Rejects a variable that no script may set.
///
/// # Errors
/// The reason, and what to do instead.
pub fn check_variable(name: &str) -> Result<(), String> {
    check_name(name)?;
    let is_refused = REFUSED.contains(&name)
        || REFUSED_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning));
    match is_refused {
        true => Err(format!(
            "a script can't set `{name}`, which changes what code a program runs; set it in the environment of \
             windlass, and pass it on in windlass.toml: `exec = {{ PROGRAM = {{ env = [\"{name}\"] }} }}`"
        )),
        false => Ok(()),
    }
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
        ] {
            assert!(check_variable(name).is_err(), "{name}");
        }
        for name in [
            "A",
            "TOKEN",
            "AWS_REGION",
            "HTTPS_PROXY",
            "TMPDIR",
            "PYTHONUNBUFFERED",
            "PATHS",
        ] {
            assert_eq!(check_variable(name), Ok(()), "{name}");
        }
    }
}
