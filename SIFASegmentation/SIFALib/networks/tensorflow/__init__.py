"""The authors' TensorFlow checkpoints."""
