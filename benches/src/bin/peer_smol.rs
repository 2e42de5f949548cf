//! Peer: smol's parts, async-io with a `LocalExecutor`, one task and one 64 KiB buffer a connection.
#![forbid(unsafe_code)]

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;

use async_executor::LocalExecutor;
use async_io::{Async, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use twistor_bench::{BUFFER, Mode, answer_lines, bind_udp, listen, server_args};

fn main() -> io::Result<()> {
    let (mode, port) = server_args()?;
    let executor = Rc::new(LocalExecutor::new());
    // A task, because the future that runs the executor is polled at every wake-up.
    let server = match mode {
        Mode::Udp => executor.spawn(datagrams(Async::new(bind_udp(port)?)?)),
        _ => executor.spawn(accept(mode, Async::new(listen(port)?)?, executor.clone())),
    };
    block_on(executor.run(server))
}

async fn accept(
    mode: Mode,
    listener: Async<TcpListener>,
    executor: Rc<LocalExecutor<'static>>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let task = executor.spawn(async move {
            match mode {
                Mode::Line => lines(stream).await,
                _ => echo(stream).await,
            }
        });
        task.detach();
    }
}

async fn echo(mut stream: Async<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn lines(mut stream: Async<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut answer = Vec::new();
    let mut kept = 0;
    loop {
        // A line that fills the buffer leaves no room, reads as the end, and is cut off here.
        let n = stream.read(&mut buffer[kept..]).await?;
        if n == 0 {
            return Ok(());
        }
        let filled = kept + n;
        let used = answer_lines(&buffer[..filled], &mut answer);
        stream.write_all(&answer).await?;
        answer.clear();
        buffer.copy_within(used..filled, 0);
        kept = filled - used;
    }
}

async fn datagrams(socket: Async<UdpSocket>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let (n, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..n], from).await?;
    }
}
