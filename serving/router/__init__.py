"""What stands in nginx's place on this machine while two versions share the requests."""
