"""Training: cases with truth, synthetic CT, augmentation, losses and the loop. Also fine-tunes on corrected labels."""
