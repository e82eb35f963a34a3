"""Images and label maps on disk to the batches that training takes."""
