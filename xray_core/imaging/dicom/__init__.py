"""A DICOM file to grey levels."""
