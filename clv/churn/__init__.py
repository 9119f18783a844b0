"""Who will not buy again, and why: training rows, classifiers, reasons."""
