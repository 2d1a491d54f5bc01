#![forbid(unsafe_code)]
pub mod authority;
pub mod cli;
pub mod compile;
pub mod decide;
pub mod execute;
pub mod journal;
pub mod outside;
pub mod report;
pub mod script;
pub mod target;
pub mod value;
pub mod x509;
