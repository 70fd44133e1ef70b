//! Bytes in place of an HTTP answer: what a service that is broken, or hostile, may send.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::faults::Raw;
use crate::world::lock;

/// Tells a connection to send bytes of its own from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Arc<Mutex<Option<Raw>>>);

impl Script {
    /// From now on nothing of the proper answer is sent, but this.
    pub(crate) fn play(&self, raw: Raw) {
        *lock(&self.0) = Some(raw);
    }
}

/// A stream that sends what it is given until a script is played.
#[derive(Debug)]
pub(crate) struct Stage<S> {
    stream: S,
    script: Script,
    play: Option<Play>,
}

/// A script under way.
#[derive(Debug)]
struct Play {
    raw: Raw,
    /// How much of the current piece is sent.
    sent: usize,
    started: bool,
    left: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Stage<S> {
    pub(crate) fn new(stream: S, script: Script) -> Self {
        Self {
            stream,
            script,
            play: None,
        }
    }

    /// Whether a script is played, taken up if it is new.
    fn is_taken(&mut self) -> bool {
        if let Some(raw) = lock(&self.script.0).take() {
            let left = raw.times;
            self.play = Some(Play {
                raw,
                sent: 0,
                started: false,
                left,
                pause: None,
            });
        }
        self.play.is_some()
    }
}

impl Play {
    /// What is left of the current piece.
    fn piece(&self) -> &[u8] {
        let whole = if self.started {
            &self.raw.then
        } else {
            &self.raw.start
        };
        &whole[self.sent..]
    }

    /// Takes up the next piece once the current one is sent; false when there is none.
    fn goes_on(&mut self) -> bool {
        if !self.piece().is_empty() {
            return true;
        }
        self.started = true;
        self.sent = 0;
        if self.left == 0 || self.raw.then.is_empty() {
            self.sent = self.raw.then.len();
            return false;
        }
        self.left -= 1;
        if self.raw.every_ms > 0 {
            self.pause = Some(Box::pin(sleep(Duration::from_millis(self.raw.every_ms))));
        }
        true
    }
}

impl<S: AsyncWrite + Unpin> Stage<S> {
    /// Sends what is left; never ready with success, since no proper answer may follow.
    fn poll_play(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(play) = &mut self.play else {
            return Poll::Ready(Ok(()));
        };
        let mut stream = Pin::new(&mut self.stream);
        // So that a body without end leaves the other connections their turns.
        for _ in 0..16 {
            if !play.goes_on() {
                ready!(stream.as_mut().poll_flush(context))?;
                if play.raw.hold {
                    return Poll::Pending;
                }
                ready!(stream.as_mut().poll_shutdown(context))?;
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if let Some(pause) = &mut play.pause {
                ready!(stream.as_mut().poll_flush(context))?;
                ready!(pause.as_mut().poll(context));
                play.pause = None;
            }
            play.sent += ready!(stream.as_mut().poll_write(context, play.piece()))?;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stage<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stage<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_taken() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_taken() {
            return self.poll_play(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_taken() {
            return self.poll_play(context);
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_script_takes_the_place_of_what_is_written() {
        let (near, mut far) = tokio::io::duplex(8);
        let script = Script::default();
        let mut stage = Stage::new(near, script.clone());
        stage.write_all(b"as").await.unwrap();
        script.play(Raw {
            start: b"start".to_vec(),
            then: b"-and-on".to_vec(),
            times: 3,
            every_ms: 1,
            hold: false,
        });
        let written = async move {
            stage.write_all(b"swallowed").await.unwrap();
            stage.flush().await.unwrap_err();
        };
        let mut read = Vec::new();
        let ((), read_all) = tokio::join!(written, far.read_to_end(&mut read));
        read_all.unwrap();
        assert_eq!(read, b"asstart-and-on-and-on-and-on");
    }
}
