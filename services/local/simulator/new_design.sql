-- Insert a design.
INSERT INTO design (design_name, file_location, file_name)
VALUES (:design_name, :file_location, :file_name)
RETURNING design_id;
