// Loaded before Azurite: when our parent ends, however it ends, its side of stdin closes and we stop in order (queues saved).
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
process.stdin.unref();
