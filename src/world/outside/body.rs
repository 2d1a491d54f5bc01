//! Reads the body of an answer, which may be very long or never end.

use reqwest::Response;

/// The reason why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    #[error(transparent)]
    Lost(#[from] reqwest::Error),
}

/// Reads a body of at most `largest` bytes, and never holds more in memory.
///
/// # Errors
/// A larger body, or a lost connection.
pub async fn read_answer(mut answer: Response, largest: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > largest {
            return Err(BodyError::TooLarge(largest));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    #[tokio::test]
    async fn a_body_without_an_end_is_not_held() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n12345");
                // False when the reader has gone.
                let mut is_asked_for = true;
                while is_asked_for {
                    is_asked_for = client.write_all(&[b'x'; 1 << 16]).is_ok();
                }
            }
        });
        let http = reqwest::Client::builder().no_proxy().build();
        let answer = http.expect("a client").get(&url).send().await;
        let read = read_answer(answer.expect("an answer"), 1 << 20).await;
        assert!(matches!(read, Err(BodyError::TooLarge(_))), "{read:?}");
    }
}
