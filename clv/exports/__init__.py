"""Lists that leave the house: plain files, audiences for advertisers, and what changed since."""
