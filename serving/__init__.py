"""An embedded model server that takes tensorflow_model_server's flags and speaks its protocol."""
