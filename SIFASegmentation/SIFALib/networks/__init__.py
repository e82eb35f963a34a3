"""Networks: the segmenter, generators and discriminators, fused inference, devices."""
