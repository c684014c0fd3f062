"""Files, X-rays, results, labels, scans."""
