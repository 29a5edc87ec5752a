"""What `./millrace bench servicebus` measures with: brokers as processes, clients, and a peer that does nothing."""
